//! The collector's cycles: when they begin and end, and what their parts add up to.

use super::{Collector, NOT_SEEN};
use crate::{CYCLE_BEGUN, CYCLE_MARKING, CYCLE_UNSEEN, GC_TRIGGERS, GcCycleFigures, ground::Words};

impl<K: Words> Collector<K> {
    /// A cycle begins. From here to its end the runtime lets no other begin.
    #[inline(always)]
    pub(crate) fn begin(self, trigger: u32) {
        let gc = self.gc;
        // SAFETY: a live map value; the runtime's `work.startSema` is held.
        unsafe {
            (*gc).trigger = trigger;
            (*gc).cycle_seen = CYCLE_BEGUN;
            (*gc).cycle = GcCycleFigures::ZERO;
            self.count(&raw mut (*gc).started, trigger);
        }
    }

    /// The sweep termination pause from `start` to `end` was seen whole.
    #[inline(always)]
    pub(crate) fn sweep_terminated(self, start: u64, end: u64) {
        let gc = self.gc;
        // SAFETY: a live map value; the runtime's `worldsema` is held.
        unsafe {
            if (*gc).cycle_seen != CYCLE_BEGUN {
                self.begin(NOT_SEEN);
            }
            (*gc).cycle.began = start;
            (*gc).cycle.sweep_termination_ns = end.wrapping_sub(start);
            (*gc).cycle.mark_began = end;
            (*gc).cycle_seen = CYCLE_MARKING;
        }
    }

    /// A mark termination pause ended in more marking.
    #[inline(always)]
    pub(crate) fn mark_restarted(self, pause: u64) {
        // SAFETY: as above.
        let paused = unsafe { &mut (*self.gc).cycle.mark_termination_ns };
        *paused = paused.wrapping_add(pause);
    }

    /// Mark termination ended the cycle. `pause` is its last pause, or `None`
    /// where it could not be measured.
    #[inline(always)]
    pub(crate) fn mark_terminated(self, start: u64, pause: Option<u64>) {
        let gc = self.gc;
        // SAFETY: as above.
        unsafe {
            let trigger = if (*gc).cycle_seen == CYCLE_UNSEEN {
                NOT_SEEN
            } else {
                (*gc).trigger
            };
            if let Some(pause) = pause
                && (*gc).cycle_seen == CYCLE_MARKING
            {
                let cycle = &raw mut (*gc).cycle;
                let paused = (*cycle).mark_termination_ns;
                (*cycle).mark_ns = start.wrapping_sub((*cycle).mark_began).wrapping_sub(paused);
                (*cycle).mark_termination_ns = paused.wrapping_add(pause);
                let all = (*cycle)
                    .sweep_termination_ns
                    .wrapping_add((*cycle).mark_termination_ns);
                (*gc).pause_total_ns = (*gc).pause_total_ns.wrapping_add(all);
                (*gc).mark_ns = (*gc).mark_ns.wrapping_add((*cycle).mark_ns);
                (*gc).last = *cycle;
                (*gc).whole_cycles += 1;
            }
            (*gc).cycle_seen = CYCLE_UNSEEN;
            self.count(&raw mut (*gc).completed, trigger);
        }
    }

    /// A part of the cycle that runs could not be measured.
    #[inline(always)]
    pub(crate) fn spoil(self) {
        // SAFETY: as above.
        unsafe {
            if (*self.gc).cycle_seen == CYCLE_MARKING {
                (*self.gc).cycle_seen = CYCLE_BEGUN;
            }
        }
    }

    /// # Safety
    ///
    /// `counters` must be a field of a live map value.
    #[inline(always)]
    unsafe fn count(self, counters: *mut [u64; GC_TRIGGERS], trigger: u32) {
        // SAFETY: as the caller promises, and the index is reduced to the range.
        unsafe {
            let counter = &raw mut (*counters)[trigger as usize % GC_TRIGGERS];
            self.kernel.add(counter, 1);
        }
    }
}
