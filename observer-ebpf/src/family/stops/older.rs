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
    pub(super) fn reason_given(self, registers: Registers) {
        let reason = self.reason_of(registers.rax, registers.rbx);
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
