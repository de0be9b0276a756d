//! What a binary cannot give, known before anything is read.

use super::{
    figures::{Figure, GapReason, StateGap},
    layout::Layout,
    snapshot::Addresses,
};

/// What cannot be had from this binary, known before anything is read.
pub(super) fn find(layout: &Layout, addresses: Addresses, threads_known: bool) -> Vec<StateGap> {
    let mut gaps = Vec::new();
    let mut gap = |figure, reason, detail: &str| {
        gaps.push(StateGap {
            figure,
            reason,
            detail: format!("go{}: {detail}", layout.version),
        });
    };
    let threads = match (threads_known, addresses.allm) {
        (true, Some(_)) => None,
        (false, _) => Some((
            GapReason::UnknownLayout,
            "the place of m.alllink is not known",
        )),
        (true, None) => Some((GapReason::NoGlobal, "runtime.allm was not found")),
    };
    if let (Some((reason, detail)), None) = (threads, layout.sched.goroutines_created) {
        gap(Figure::GoroutinesCreated, reason, detail);
    }
    match (layout.sched.mutex_wait, layout.sched.lock_wait) {
        (None, _) => gap(
            Figure::MutexWait,
            GapReason::NotInRelease,
            "kept from go1.20 on",
        ),
        (Some(_), Some(_)) => {
            if let Some((reason, detail)) = threads {
                gap(Figure::MutexWait, reason, detail);
            } else if layout.m.lock_wait.is_none() {
                let detail = "the place of m.mLockProfile is not known";
                gap(Figure::MutexWait, GapReason::UnknownLayout, detail);
            }
        }
        (Some(_), None) => {}
    }
    if layout.controller.memory_limit.is_none() {
        gap(
            Figure::MemoryLimit,
            GapReason::NotInRelease,
            "there is one from go1.19 on",
        );
    }
    if layout.heap_stats.is_none() {
        let detail = "the place of memstats.heapStats is not known";
        gap(Figure::Allocation, GapReason::UnknownLayout, detail);
    }
    if layout.cpu_stats.is_none() {
        gap(
            Figure::CollectorCpu,
            GapReason::NotInRelease,
            "kept from go1.20 on",
        );
    } else if addresses.cpu_stats.is_none() {
        gap(
            Figure::CollectorCpu,
            GapReason::NoGlobal,
            "work.cpuStats was not found",
        );
    }
    if layout.sched.stopped_gc.is_none() {
        gap(
            Figure::Stops,
            GapReason::NotInRelease,
            "kept from go1.22 on",
        );
    }
    gaps
}
