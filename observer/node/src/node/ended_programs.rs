//! Sums of processes that ended, when they are shown no more.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use observer_ebpf::family::ProcessCounts as _;
use observer_go::{discover::Executable, runtime::StateFigures};

use super::observation::{Observation, StateSample};

/// Kinds of programs told apart in one sum.
const KINDS: usize = 16;
/// Programs with a sum of their own. None gives way to another: its counters would end,
/// and what all programs counted would fall.
const PROGRAMS: usize = 256;
/// What all others are called.
const OTHERS: &str = "(other)";

/// What processes that lived briefly counted, by program: the number of their series
/// must not grow with how many come and go. Who lived longer was seen by itself.
pub(super) struct Programs {
    /// By name, and whether it ran in a container.
    sums: HashMap<(String, bool), Vec<Arc<Observation>>>,
    /// Those of all others, outside containers and in them.
    others: [Vec<Arc<Observation>>; 2],
    crowded: Crowded,
}

/// Ended processes that found no room in the sum of their program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crowded {
    /// They are in the sum of others.
    pub with_others: u64,
    /// They are in no sum.
    pub left_out: u64,
}

impl Programs {
    pub(super) fn new() -> Self {
        Self {
            sums: HashMap::new(),
            others: [Vec::new(), Vec::new()],
            crowded: Crowded::default(),
        }
    }

    /// Takes in one that has ended and is shown no more.
    pub(super) fn add(&mut self, observation: &Arc<Observation>) {
        if !observation.brief {
            return;
        }
        let process = &observation.process;
        let in_container = process.container.is_some();
        let program = (process.name(), in_container);
        let has_room = self.sums.len() < PROGRAMS || self.sums.contains_key(&program);
        if has_room && add(self.sums.entry(program).or_default(), observation) {
            return;
        }
        let mut other = Observation::clone(observation);
        Arc::make_mut(&mut other.process).executable = Executable {
            path: PathBuf::from(OTHERS),
            memfd: false,
            ..process.executable.clone()
        };
        if add(
            &mut self.others[usize::from(in_container)],
            &Arc::new(other),
        ) {
            self.crowded.with_others += 1;
        } else {
            self.crowded.left_out += 1;
        }
    }

    /// Those that found no room.
    pub(super) fn crowded(&self) -> Crowded {
        self.crowded
    }

    /// All sums.
    pub(super) fn all(&self) -> Vec<Arc<Observation>> {
        let sums = self.sums.values().chain(&self.others);
        sums.flatten().cloned().collect()
    }
}

/// Adds a process that has ended to sums, of which each is of one kind of program;
/// `false` where there is no room for another kind.
#[must_use]
pub(crate) fn add(kinds: &mut Vec<Arc<Observation>>, observation: &Arc<Observation>) -> bool {
    let is_full = kinds.len() >= KINDS;
    // Versions are told apart while there is room: any text may be one.
    let same_version =
        |kind: &Observation| is_full || kind.binary.version == observation.binary.version;
    let mut of_kind = kinds
        .iter_mut()
        .filter(|kind| same_version(kind) && is_alike(kind, observation));
    if let Some(kind) = of_kind.next() {
        merge(Arc::make_mut(kind), observation);
    } else if is_full {
        return false;
    } else {
        kinds.push(Arc::clone(observation));
    }
    true
}

/// Whether both know the same figures, so that each sum is of the same things.
fn is_alike(a: &Observation, b: &Observation) -> bool {
    // Of one release the buckets are the same.
    let buckets = |of: &Observation| {
        let state = of.figures.state.as_ref();
        state.map(|sample| sample.figures.scheduler.latencies.bounds.len())
    };
    let same = |a: &Observation, b: &Observation| {
        a.coverage.0.iter().all(|(figure, missing)| {
            let other = b.coverage.0.get(figure);
            other.is_some_and(|other| other.is_none() == missing.is_none())
        })
    };
    buckets(a) == buckets(b) && same(a, b) && same(b, a)
}

fn merge(into: &mut Observation, from: &Observation) {
    into.figures.events.add(&from.figures.events);
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

/// Adds what only grows; the rest is of no use once a process has ended.
fn merge_state(into: &mut StateFigures, from: &StateFigures) {
    plus_known(&mut into.goroutines.created, from.goroutines.created);
    plus_known(&mut into.goroutines.exited, from.goroutines.exited);
    plus_known(
        &mut into.scheduler.mutex_wait_ns,
        from.scheduler.mutex_wait_ns,
    );
    // Of one release, so of the same buckets; as are those below.
    let latencies = &mut into.scheduler.latencies;
    *latencies = latencies.plus(&from.scheduler.latencies);
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
            *into = into.plus(from);
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Crowded, KINDS, Observation, PROGRAMS, Programs, add};
    use crate::fixtures::{observation, with_state};

    #[test]
    fn sums_grow_and_their_number_does_not() {
        let mut programs = Programs::new();
        let ended = |pid: u32, path: &str| {
            let mut ended = with_state(observation(pid, path));
            ended.brief = true;
            Arc::new(ended)
        };
        for pid in 1..=10_000 {
            programs.add(&ended(pid, "/bin/compile"));
        }
        let all = programs.all();
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].created(), Some(10_000 * 2000));
        // Who lived longer has had a series of its own.
        programs.add(&Arc::new(with_state(observation(1, "/bin/server"))));
        assert_eq!(programs.all().len(), 1);
        for pid in 1..=1000 {
            programs.add(&ended(pid, &format!("/bin/program-{pid}")));
        }
        // Whoever finds no room is with all others, and no sum has gone.
        let all = programs.all();
        assert_eq!(all.len(), PROGRAMS + 1);
        assert_eq!(created(&all), 11_000 * 2000);
        let crowded = Crowded {
            with_others: 1000 - (PROGRAMS as u64 - 1),
            left_out: 0,
        };
        assert_eq!(programs.crowded(), crowded);
        let others = all.iter().find(|sum| sum.process.name() == "(other)");
        let others = others.expect("their sum").created();
        assert_eq!(others, Some(crowded.with_others * 2000));
    }

    fn created(sums: &[Arc<Observation>]) -> u64 {
        sums.iter().filter_map(|sum| sum.created()).sum()
    }

    #[test]
    fn where_there_is_no_room_for_a_version_it_goes_to_one_that_knows_the_same() {
        let mut kinds = Vec::new();
        for version in 0..2 * KINDS as u64 {
            let mut ended = with_state(observation(1, "/bin/compile"));
            Arc::make_mut(&mut ended.binary).version = format!("go1.26.{version}");
            assert!(add(&mut kinds, &Arc::new(ended)));
        }
        assert_eq!(kinds.len(), KINDS);
        assert_eq!(created(&kinds), 2 * KINDS as u64 * 2000);

        let mut other = observation(1, "/bin/compile");
        other.figures.state = None;
        assert!(!add(&mut kinds, &Arc::new(other)), "it knows less");
    }
}
