//! Stops up to 1.21, where `startTheWorldWithSema` is not told what it ends: the
//! call that it returns to says so, and the runtime's own variables say when the
//! collector's stops began. Up to 1.20 the reason comes as a text, before the stop.

use super::{
    record::{MARK_TERMINATION, SWEEP_TERMINATION, UNKNOWN},
    waiting,
};
use crate::{
    Cookie, SiteKind, StwReason,
    family::collector::Collector,
    ground::{Ground, Registers},
};

/// Tries to change a word that others change too. Each fails only where another
/// thread has succeeded.
const EXCHANGES: usize = 16;

impl<K: Ground> Collector<K> {
    /// A stop that was not the collector's is about to end.
    #[inline(always)]
    pub(super) fn start_other(self) {
        let gc = self.gc;
        // SAFETY: a live map value; the runtime's `worldsema` is held.
        unsafe {
            let given = &raw mut (*gc).reasons_pending;
            if let Some(reason) = waiting::taken(self.kernel.load(given)) {
                (*gc).reason = reason;
                self.kernel.add(given, u64::MAX);
            }
            (*gc).start_kind = if (*gc).stop_began == 0 {
                0
            } else {
                SiteKind::StartAfterOther as u64
            };
        }
    }

    /// One of the collector's stops is about to end. The cookie tells how far
    /// `work.pauseStart` is from the site, which lies at `rip`.
    #[inline(always)]
    pub(super) fn start_collector(self, kind: SiteKind, cookie: Cookie, rip: u64) {
        let gc = self.gc;
        let is_last = matches!(kind, SiteKind::StartAfterMarkTermination);
        let address = rip.wrapping_add(cookie.aux() as i64 as u64);
        // SAFETY: as above.
        unsafe {
            (*gc).start_kind = 0;
            (*gc).stop_began = 0;
        }
        let Some(began) = self.kernel.word(address) else {
            // The cycle is not seen whole any more.
            self.spoil();
            if is_last {
                self.mark_terminated(0, None);
            }
            return;
        };
        if is_last {
            let end = self.last_gc(cookie.target(), address);
            let pause = end.map(|end| end.wrapping_sub(began));
            if let Some(pause) = pause {
                self.ended(MARK_TERMINATION, (began, pause), true);
            }
            self.mark_terminated(began, pause);
            return;
        }
        // SAFETY: as above.
        unsafe {
            (*gc).reason = if matches!(kind, SiteKind::StartAfterSweepTermination) {
                SWEEP_TERMINATION
            } else {
                MARK_TERMINATION
            };
            (*gc).stop_began = began;
            (*gc).start_kind = kind as u64;
        }
    }

    /// `memstats.last_gc_nanotime`, which mark termination has just set.
    #[inline(always)]
    fn last_gc(self, target: u32, pause_start: u64) -> Option<u64> {
        let target = self.kernel.target(target)?;
        // SAFETY: a live map value, which only user space changes, as a whole.
        let distance = unsafe { (*target).last_gc_from_pause_start };
        if distance == 0 {
            return None;
        }
        self.kernel.word(pause_start.wrapping_add(distance as u64))
    }

    /// `stopTheWorld` says why before it waits for its turn. Where several wait
    /// for different reasons, nobody sees which of them goes first.
    #[inline(always)]
    pub(super) fn reason_given(self, registers: Registers, on_stack: i32) {
        let passed = |place| registers.passed(self.kernel, place, on_stack);
        let reason = match (passed(0), passed(1)) {
            (Some(text), Some(len)) => self.reason_of(text, len),
            _ => UNKNOWN,
        };
        // SAFETY: a live map value.
        unsafe {
            let given = &raw mut (*self.gc).reasons_pending;
            let mut was = self.kernel.load(given);
            let mut tries = 0;
            while tries < EXCHANGES {
                tries = self.kernel.next(tries);
                let new = waiting::given(was, reason);
                let found = self.kernel.exchange(given, was, new);
                if found == was {
                    return;
                }
                was = found;
            }
            let (one, different) = waiting::ONE_MORE;
            self.kernel.add(given, one);
            self.kernel.set(given, different);
        }
    }

    /// The reason is a string constant of the runtime. Its length and its first
    /// seven bytes tell which.
    #[inline(always)]
    fn reason_of(self, text: u64, len: u64) -> u32 {
        let Some(first) = self.kernel.text(text) else {
            return UNKNOWN;
        };
        let first = word(first);
        for (known_len, known_first, reason) in REASONS {
            if len == known_len && first == known_first {
                return reason as u32;
            }
        }
        UNKNOWN
    }
}

const REASONS: [(u64, u64, StwReason); 9] = [
    (14, word(*b"read me"), StwReason::ReadMemStats),
    (10, word(*b"GOMAXPR"), StwReason::Gomaxprocs),
    (11, word(*b"stack t"), StwReason::AllGoroutinesStack),
    (7, word(*b"profile"), StwReason::GoroutineProfile),
    (15, word(*b"profile"), StwReason::GoroutineProfileCleanup),
    (15, word(*b"write h"), StwReason::WriteHeapDump),
    (19, word(*b"doAllTh"), StwReason::AllThreadsSyscall),
    (13, word(*b"start t"), StwReason::StartTrace),
    (12, word(*b"stop tr"), StwReason::StopTrace),
];

const fn word(text: [u8; 7]) -> u64 {
    u64::from_le_bytes([
        text[0], text[1], text[2], text[3], text[4], text[5], text[6], 0,
    ])
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::{EXCHANGES, REASONS, word};
    use crate::{
        GcFigures, StwReason, Target,
        family::{
            collector::Collector,
            stops::waiting::{given, taken},
        },
        ground::{Ground, Memory, Registers, Words},
    };

    const OTHERS: u32 = StwReason::ReadMemStats as u32;

    /// A kernel in which other threads stop the world, one stop after the other, at
    /// each exchange, and once more amid what is done instead of an exchange.
    #[derive(Clone, Copy)]
    struct Busy<'a> {
        exchanges: &'a Cell<usize>,
        changes: &'a Cell<usize>,
    }

    impl Busy<'_> {
        unsafe fn change(self, word: *mut u64, change: impl FnOnce(u64) -> u64) {
            // SAFETY: as the caller promises; no other thread is there.
            unsafe {
                word.write(change(word.read()));
                self.changes.set(self.changes.get() + 1);
                if self.changes.get() == 1 {
                    word.write(given(word.read(), OTHERS));
                }
            }
        }
    }

    impl Words for Busy<'_> {
        unsafe fn load(self, word: *const u64) -> u64 {
            // SAFETY: as the caller promises, and so below.
            unsafe { word.read() }
        }

        unsafe fn store(self, _word: *mut u64, _value: u64) {
            unreachable!("nothing is changed unseen")
        }

        unsafe fn add(self, word: *mut u64, by: u64) {
            // SAFETY: as above.
            unsafe { self.change(word, |was| was.wrapping_add(by)) };
        }

        unsafe fn set(self, word: *mut u64, bits: u64) {
            // SAFETY: as above.
            unsafe { self.change(word, |was| was | bits) };
        }

        unsafe fn fetch_add(self, _word: *mut u64, _by: u64) -> u64 {
            unreachable!("nobody counts")
        }

        unsafe fn exchange(self, word: *mut u64, _old: u64, _new: u64) -> u64 {
            self.exchanges.set(self.exchanges.get() + 1);
            // SAFETY: as above.
            unsafe {
                let was = word.read();
                let ends = taken(was).is_some();
                word.write(if ends { was - 1 } else { given(was, OTHERS) });
                word.read()
            }
        }

        fn opaque(self, number: usize) -> usize {
            number
        }

        fn next(self, number: usize) -> usize {
            number + 1
        }
    }

    impl Memory for Busy<'_> {
        fn word(self, _address: u64) -> Option<u64> {
            None
        }

        fn text(self, _address: u64) -> Option<[u8; 7]> {
            Some(*b"GOMAXPR")
        }
    }

    impl Ground for Busy<'_> {
        const STACK_ARGUMENTS: bool = false;

        fn now(self) -> u64 {
            0
        }

        fn target(self, _target: u32) -> Option<*mut Target> {
            None
        }
    }

    /// Whoever gives a reason amid it gives none to the stop that could not exchange.
    #[test]
    fn a_stop_that_cannot_exchange_has_nobodys_reason() {
        let (exchanges, changes) = (Cell::new(0), Cell::new(0));
        let kernel = Busy {
            exchanges: &exchanges,
            changes: &changes,
        };
        let mut gc = GcFigures::ZERO;
        // SAFETY: it lives as long as the collector.
        let collector = unsafe { Collector::new(kernel, &raw mut gc) };
        let (len, first, _) = REASONS[1];
        assert_eq!(first, word(*b"GOMAXPR"));
        let said = Registers {
            rbx: len,
            ..Registers::default()
        };
        collector.reason_given(said, 0);
        assert_eq!((exchanges.get(), changes.get()), (EXCHANGES, 2));
        let both = gc.reasons_pending;
        for waiting in [both, both - 1] {
            assert_eq!(taken(waiting), Some(StwReason::Unknown as u32));
        }
        assert_eq!(taken(both - 2), None);
    }
}
