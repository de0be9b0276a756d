//! What a binary cannot give, known before anything is read.

use super::{
    figures::{Figure, GapReason, StateGap},
    layout::Layout,
    snapshot::Addresses,
};
use crate::gobinary::globals::Globals;

/// What no process of a binary can give, and why. A gap of [`Figure::State`]
/// means that nothing can be read at all.
pub fn expected(globals: &Globals, layout: &Layout) -> Vec<StateGap> {
    let needed = [
        ("runtime.sched", &globals.sched),
        ("runtime.allgs", &globals.allgs),
        ("runtime.allp", &globals.allp),
        ("runtime.memstats", &globals.memstats),
        ("runtime.gcController", &globals.gc_controller),
    ];
    if let Some((name, _)) = needed.iter().find(|(_, global)| global.is_none()) {
        let why = globals.gaps.iter().find(|gap| gap.global == *name);
        let why = why.map_or("", |gap| gap.detail.as_str());
        return vec![StateGap {
            figure: Figure::State,
            reason: GapReason::NoGlobal,
            detail: format!("{name} was not found: {why}"),
        }];
    }
    let address = |global: &Option<crate::gobinary::globals::Global>| {
        global.as_ref().map(|global| global.address)
    };
    let addresses = Addresses {
        sched: 0,
        allgs: 0,
        allp: 0,
        memstats: 0,
        controller: 0,
        cpu_stats: address(&globals.cpu_stats),
        allm: address(&globals.allm),
    };
    let known = layout.m.next.is_some() && layout.m.locked_goroutine.is_some();
    find(layout, addresses, known)
}

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
    if let Some((reason, detail)) = threads {
        gap(Figure::GoroutineStates, reason, detail);
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
