//! Stops of the world, of every release: which site says what about them. What
//! only releases up to 1.21 need is in `older`.

use super::record::{MARK_TERMINATION, SWEEP_TERMINATION, UNKNOWN, known};
use crate::{
    Abi, Cookie, SiteKind,
    family::collector::Collector,
    ground::{Ground, Registers},
};

impl<K: Ground> Collector<K> {
    /// A hit at a site of `stopTheWorld…` or `startTheWorld…`.
    #[inline(always)]
    pub(crate) fn hit(self, kind: SiteKind, cookie: Cookie, registers: Registers) {
        match kind {
            SiteKind::StopReason => self.reason_given(registers, cookie.aux()),
            SiteKind::StopTheWorld => self.stop(cookie.aux(), registers.rax),
            // SAFETY: a live map value; the runtime's `worldsema` is held.
            SiteKind::Stopped => unsafe {
                (*self.gc).stopping_ns = registers.rbx.wrapping_add(1);
            },
            SiteKind::StartTheWorld => self.start(cookie.aux(), registers),
            SiteKind::StartTheWorldReturn => match registers.passed(self.kernel, 0, cookie.aux()) {
                Some(now) => self.started(now),
                None => self.started_unseen(),
            },
            SiteKind::StartAfterOther => self.start_other(),
            SiteKind::StartAfterSweepTermination
            | SiteKind::StartAfterMarkTermination
            | SiteKind::StartBeforeMarkRestart => self.start_collector(kind, cookie, registers.rip),
            _ => {}
        }
    }

    /// `stopTheWorldWithSema` is entered.
    #[inline(always)]
    fn stop(self, abi: i32, rax: u64) {
        let gc = self.gc;
        // SAFETY: a live map value; the runtime's `worldsema` is held.
        unsafe {
            (*gc).start_kind = 0;
            (*gc).stopping_ns = 0;
            (*gc).stop_began = self.kernel.now();
            (*gc).reason = if abi == Abi::NoReason as i32 {
                UNKNOWN
            } else {
                known(rax)
            };
        }
    }

    /// 1.22 and newer: `startTheWorldWithSema` is entered and told what it ends.
    #[inline(always)]
    fn start(self, abi: i32, registers: Registers) {
        let gc = self.gc;
        let reason = known(registers.rbx);
        let began = registers.rcx;
        // SAFETY: as above.
        unsafe {
            let stopping = if abi == Abi::WorldStopFinished as i32 {
                Some(registers.rdi.wrapping_sub(began))
            } else {
                (*gc).stopping_ns.checked_sub(1)
            };
            (*gc).stopping_ns = 0;
            if let Some(stopping) = stopping {
                self.stopped(reason, stopping);
            }
            if registers.rax != 0 {
                // The caller took the time itself: mark termination, which ends the cycle.
                (*gc).start_kind = 0;
                let pause = registers.rax.wrapping_sub(began);
                let is_last = reason == MARK_TERMINATION;
                self.ended(reason, (began, pause), is_last);
                if is_last {
                    self.mark_terminated(began, Some(pause));
                }
            } else {
                (*gc).start_kind = SiteKind::StartTheWorld as u64;
                (*gc).stop_began = began;
                (*gc).reason = reason;
            }
        }
    }

    /// `startTheWorldWithSema` returns, and since when the world runs cannot be read. The
    /// stop is left out, and its cycle is none that was seen whole.
    #[inline(always)]
    fn started_unseen(self) {
        // SAFETY: as above.
        unsafe {
            (*self.gc).start_kind = 0;
            (*self.gc).stop_began = 0;
        }
        self.spoil();
    }

    /// `startTheWorldWithSema` returns: the world runs, since `now`.
    #[inline(always)]
    fn started(self, now: u64) {
        let gc = self.gc;
        // SAFETY: as above.
        unsafe {
            // Counted already, or its start was not seen.
            if (*gc).start_kind == 0 {
                return;
            }
            let began = (*gc).stop_began;
            let reason = (*gc).reason;
            let pause = now.wrapping_sub(began);
            (*gc).start_kind = 0;
            (*gc).stop_began = 0;
            // First, so that the stop is recorded as the new cycle's.
            if reason == SWEEP_TERMINATION {
                self.sweep_terminated(began, now);
            } else if reason == MARK_TERMINATION {
                self.mark_restarted(pause);
            }
            self.ended(reason, (began, pause), false);
        }
    }
}
