//! Counting a stop that has ended.

use crate::{
    CYCLE_UNSEEN, STOPS_KEPT, STW_REASONS, StopFigures, StopRecord, StwReason,
    TIME_HISTOGRAM_BUCKETS, TimeHistogram,
    family::collector::{Collector, NOT_SEEN},
    ground::Words,
};

pub(super) const MARK_TERMINATION: u32 = StwReason::GcMarkTermination as u32;
pub(super) const SWEEP_TERMINATION: u32 = StwReason::GcSweepTermination as u32;
pub(super) const UNKNOWN: u32 = StwReason::Unknown as u32;

impl<K: Words> Collector<K> {
    /// Counts a stop, and keeps for a while when it began and how long it took.
    #[inline(always)]
    pub(crate) fn ended(self, reason: u32, (began, pause): (u64, u64), ends_cycle: bool) {
        let gc = self.gc;
        // SAFETY: a live map value; the runtime's `worldsema` is held.
        unsafe {
            let recorded = (*gc).stops_recorded;
            let kept = self.kept(recorded);
            (*kept).began = began;
            (*kept).pause_ns = pause;
            (*kept).reason = reason;
            (*kept).trigger = if (*gc).cycle_seen == CYCLE_UNSEEN {
                NOT_SEEN as u16
            } else {
                (*gc).trigger as u16
            };
            (*kept).ends_cycle = ends_cycle as u16;
            // Whoever reads takes only what is counted, so this comes last, also in the
            // eyes of other CPUs.
            self.kernel.fetch_add(&raw mut (*gc).stops_recorded, 1);
            let stops = self.of_reason(reason);
            (*stops).count += 1;
            (*stops).total_ns = (*stops).total_ns.wrapping_add(pause);
            let histogram = if is_gc(reason) {
                &raw mut (*gc).total_gc
            } else {
                &raw mut (*gc).total_other
            };
            record(self.kernel, histogram, pause);
        }
    }

    /// Counts the time that a stop took until every P had stopped.
    #[inline(always)]
    pub(crate) fn stopped(self, reason: u32, stopping: u64) {
        let gc = self.gc;
        // SAFETY: as above.
        unsafe {
            let stops = self.of_reason(reason);
            (*stops).stopping_ns = (*stops).stopping_ns.wrapping_add(stopping);
            let histogram = if is_gc(reason) {
                &raw mut (*gc).stopping_gc
            } else {
                &raw mut (*gc).stopping_other
            };
            record(self.kernel, histogram, stopping);
        }
    }

    /// Where the stop of a number is kept.
    #[inline(always)]
    fn kept(self, number: u64) -> *mut StopRecord {
        let place = self.kernel.opaque(number as usize) % STOPS_KEPT;
        // SAFETY: a live map value, and the index is in range.
        unsafe {
            (&raw mut (*self.gc).recent_stops)
                .cast::<StopRecord>()
                .add(place)
        }
    }

    /// The figures of stops for a reason.
    #[inline(always)]
    fn of_reason(self, reason: u32) -> *mut StopFigures {
        let place = self.kernel.opaque(reason as usize);
        let place = if place < STW_REASONS {
            place
        } else {
            UNKNOWN as usize
        };
        // SAFETY: a live map value, and the index is in range.
        unsafe { (&raw mut (*self.gc).stops).cast::<StopFigures>().add(place) }
    }
}

/// Adds a duration to a histogram.
#[inline(never)]
fn record<K: Words>(kernel: K, histogram: *mut TimeHistogram, ns: u64) {
    // SAFETY: a field of a live map value, whose only writer holds `worldsema`.
    unsafe {
        (*histogram).sum_ns = (*histogram).sum_ns.wrapping_add(ns);
        let counts = &raw mut (*histogram).counts;
        let bucket = TimeHistogram::bucket(ns).unwrap_or(TIME_HISTOGRAM_BUCKETS);
        let bucket = kernel.opaque(bucket);
        if bucket < TIME_HISTOGRAM_BUCKETS {
            let count = counts.cast::<u32>().add(bucket);
            *count = (*count).wrapping_add(1);
        } else {
            (*histogram).overflow += 1;
        }
    }
}

/// `stwReason.isGC`.
const fn is_gc(reason: u32) -> bool {
    reason == MARK_TERMINATION || reason == SWEEP_TERMINATION
}

/// A reason's number from the low byte of a register.
#[inline(always)]
pub(super) const fn known(register: u64) -> u32 {
    let reason = register as u8 as u32;
    if reason < STW_REASONS as u32 {
        reason
    } else {
        UNKNOWN
    }
}
