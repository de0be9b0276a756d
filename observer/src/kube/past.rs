//! What ran in a container and ended, while the container runs on.
//!
//! The engine shows a process for 30 s after its end. A container's counters
//! must not fall back then: a health check that runs every ten seconds would
//! else make each of them look as if the container had started anew.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use observer_ebpf::{GcFigures, GoroutineFigures, TimeHistogram};

use super::index::PodIndex;
use crate::{
    node::{EventFigures, Observation, StateSample},
    runtime::{self, StateFigures},
};

/// Kinds of programs told apart in one container. Each further kind is left out.
const KINDS: usize = 16;

/// Sums of the processes that are shown no more.
#[derive(Default)]
pub(super) struct Ledger {
    /// Those that had ended and were shown at the last turn, by container.
    shown: Vec<(String, Arc<Observation>)>,
    /// By container: one sum for each kind of program.
    past: HashMap<String, Vec<Arc<Observation>>>,
}

impl Ledger {
    /// Takes in which ended processes are shown now. Those that are not any
    /// more go to the sums of their containers; containers that do not run and
    /// show nothing are forgotten, whole: of one that has ended no counter may
    /// fall because one of its processes ended before another.
    pub(super) fn turn(&mut self, shown: Vec<(String, Arc<Observation>)>, index: &PodIndex) {
        let now: HashSet<*const Observation> =
            shown.iter().map(|(_, it)| Arc::as_ptr(it)).collect();
        let before = std::mem::replace(&mut self.shown, shown);
        let shown: HashSet<&str> = self.shown.iter().map(|(id, _)| id.as_str()).collect();
        let counts = |id: &str| index.runs(id) || shown.contains(id);
        for (id, observation) in before {
            if counts(&id) && !now.contains(&Arc::as_ptr(&observation)) {
                add(self.past.entry(id).or_default(), &observation);
            }
        }
        self.past.retain(|id, _| counts(id));
    }

    /// The sums by container.
    pub(super) fn past(&self) -> impl Iterator<Item = (&str, &Arc<Observation>)> {
        self.past
            .iter()
            .flat_map(|(id, kinds)| kinds.iter().map(|kind| (id.as_str(), kind)))
    }
}

fn add(kinds: &mut Vec<Arc<Observation>>, observation: &Arc<Observation>) {
    if let Some(kind) = kinds.iter_mut().find(|kind| is_alike(kind, observation)) {
        merge(Arc::make_mut(kind), observation);
    } else if kinds.len() < KINDS {
        kinds.push(Arc::clone(observation));
    }
}

/// Whether both know the same figures, so that each sum is of the same things.
fn is_alike(a: &Observation, b: &Observation) -> bool {
    let same = |a: &Observation, b: &Observation| {
        a.coverage.0.iter().all(|(figure, missing)| {
            let other = b.coverage.0.get(figure);
            other.is_some_and(|other| other.is_none() == missing.is_none())
        })
    };
    a.binary.version == b.binary.version
        && a.figures.state.is_some() == b.figures.state.is_some()
        && same(a, b)
        && same(b, a)
}

fn merge(into: &mut Observation, from: &Observation) {
    merge_events(&mut into.figures.events, &from.figures.events);
    if let (Some(into), Some(from)) = (&mut into.figures.state, &from.figures.state) {
        let mut sample = StateSample::clone(into);
        merge_state(Arc::make_mut(&mut sample.figures), &from.figures);
        *into = Arc::new(sample);
    }
}

fn plus(into: &mut u64, from: u64) {
    *into = into.saturating_add(from);
}

fn plus_known(into: &mut Option<u64>, from: Option<u64>) {
    if let (Some(into), Some(from)) = (into, from) {
        plus(into, from);
    }
}

fn merge_events(into: &mut EventFigures, from: &EventFigures) {
    let GoroutineFigures {
        created,
        exited,
        system_created,
        system_exited,
        goid_refills,
        hits,
    } = &mut into.goroutines;
    let other = &from.goroutines;
    plus(created, other.created);
    plus(exited, other.exited);
    plus(system_created, other.system_created);
    plus(system_exited, other.system_exited);
    plus(goid_refills, other.goid_refills);
    plus(hits, other.hits);
    match (&mut into.gc, &from.gc) {
        (Some(into), Some(from)) => merge_gc(Arc::make_mut(into), from),
        (None, Some(from)) => into.gc = Some(from.clone()),
        (_, None) => {}
    }
}

fn merge_gc(into: &mut GcFigures, from: &GcFigures) {
    for (into, from) in [
        (&mut into.started, &from.started),
        (&mut into.completed, &from.completed),
    ] {
        for (into, from) in into.iter_mut().zip(from) {
            plus(into, *from);
        }
    }
    plus(&mut into.pause_total_ns, from.pause_total_ns);
    plus(&mut into.mark_ns, from.mark_ns);
    plus(&mut into.whole_cycles, from.whole_cycles);
    plus(&mut into.hits, from.hits);
    for (into, from) in into.stops.iter_mut().zip(&from.stops) {
        plus(&mut into.count, from.count);
        plus(&mut into.total_ns, from.total_ns);
        plus(&mut into.stopping_ns, from.stopping_ns);
    }
    for (into, from) in [
        (&mut into.total_gc, &from.total_gc),
        (&mut into.total_other, &from.total_other),
        (&mut into.stopping_gc, &from.stopping_gc),
        (&mut into.stopping_other, &from.stopping_other),
    ] {
        merge_histogram(into, from);
    }
}

fn merge_histogram(into: &mut TimeHistogram, from: &TimeHistogram) {
    for (into, from) in into.counts.iter_mut().zip(&from.counts) {
        *into = into.saturating_add(*from);
    }
    plus(&mut into.overflow, from.overflow);
    plus(&mut into.sum_ns, from.sum_ns);
}

/// Adds what only grows; the rest is of no use once a process has ended.
fn merge_state(into: &mut StateFigures, from: &StateFigures) {
    plus_known(&mut into.goroutines.created, from.goroutines.created);
    plus_known(&mut into.goroutines.exited, from.goroutines.exited);
    plus_known(
        &mut into.scheduler.mutex_wait_ns,
        from.scheduler.mutex_wait_ns,
    );
    merge_times(&mut into.scheduler.latencies, &from.scheduler.latencies);
    if let (Some(into), Some(from)) = (&mut into.allocation, &from.allocation) {
        plus(&mut into.total_bytes, from.total_bytes);
        plus(&mut into.mallocs, from.mallocs);
        plus(&mut into.frees, from.frees);
    }
    let collections = &mut into.collections;
    plus(&mut collections.cycles, from.collections.cycles);
    plus(&mut collections.forced, from.collections.forced);
    plus(
        &mut collections.pause_total_ns,
        from.collections.pause_total_ns,
    );
    let stops = &mut into.stops;
    for (into, from) in [
        (&mut collections.pauses, &from.collections.pauses),
        (&mut stops.gc_stopping, &from.stops.gc_stopping),
        (&mut stops.gc_total, &from.stops.gc_total),
        (&mut stops.other_stopping, &from.stops.other_stopping),
        (&mut stops.other_total, &from.stops.other_total),
    ] {
        if let (Some(into), Some(from)) = (into, from) {
            merge_times(into, from);
        }
    }
    if let (Some(into), Some(from)) = (&mut into.cpu, &from.cpu) {
        for (into, from) in [
            (&mut into.mark_assist_ns, from.mark_assist_ns),
            (&mut into.mark_dedicated_ns, from.mark_dedicated_ns),
            (&mut into.mark_idle_ns, from.mark_idle_ns),
            (&mut into.pause_ns, from.pause_ns),
            (&mut into.gc_total_ns, from.gc_total_ns),
            (&mut into.scavenge_assist_ns, from.scavenge_assist_ns),
            (
                &mut into.scavenge_background_ns,
                from.scavenge_background_ns,
            ),
            (&mut into.scavenge_total_ns, from.scavenge_total_ns),
            (&mut into.idle_ns, from.idle_ns),
            (&mut into.user_ns, from.user_ns),
            (&mut into.total_ns, from.total_ns),
        ] {
            plus(into, from);
        }
    }
}

/// Of one release, so of the same buckets.
fn merge_times(into: &mut runtime::TimeHistogram, from: &runtime::TimeHistogram) {
    *into = into.plus(from);
}
