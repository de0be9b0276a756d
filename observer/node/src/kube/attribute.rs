//! Puts to each snapshot which pod's container each process is in.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use observer_ebpf::family::ProcessCounts as _;
use observer_go::{
    binary::{FigureGroup, Reason},
    discover::{self, Origin},
};
use tokio::sync::watch;

use super::{ended_processes::EndedProcesses, pod_index::PodIndex, watch::PodIndexes};
use crate::{
    liveness::Liveness,
    node::{Attribution, Cluster, Observation, PodContainer, Snapshot, Snapshots, Uncounted},
};

/// After so long without an exec a forked process is what the container runs:
/// one that was restored from a checkpoint has never begun a program.
const ONLY_FORKED: Duration = Duration::from_secs(10);

/// Attributes every snapshot, and the last one again when pods change.
pub fn attribute(
    mut snapshots: Snapshots,
    mut pods: PodIndexes,
    node: String,
    host_processes: bool,
    liveness: &Liveness,
) -> Snapshots {
    let (sender, receiver) = watch::channel(None);
    let mut attributor = Attributor::new(node, host_processes);
    let pulse = liveness.part("attribution");
    tokio::spawn(async move {
        let _pulse = pulse;
        loop {
            let next = tokio::select! {
                changed = snapshots.changed() => changed,
                changed = pods.changed() => changed,
            };
            // Without either there is nothing true to tell any more.
            if next.is_err() {
                return;
            }
            let snapshot = snapshots.borrow_and_update().clone();
            let index = Arc::clone(&pods.borrow_and_update());
            if let Some(snapshot) = snapshot {
                let attributed = Snapshot {
                    cluster: Some(Arc::new(attributor.cluster(&snapshot, &index))),
                    ..Snapshot::clone(&snapshot)
                };
                sender.send_replace(Some(Arc::new(attributed)));
            }
        }
    });
    receiver
}

/// What attribution remembers from one snapshot to the next.
pub(super) struct Attributor {
    node: String,
    host_processes: bool,
    ledger: EndedProcesses,
}

impl Attributor {
    pub(super) fn new(node: String, host_processes: bool) -> Self {
        Self {
            node,
            host_processes,
            ledger: EndedProcesses::default(),
        }
    }

    /// Where everything in the snapshot belongs.
    pub(super) fn cluster(&mut self, snapshot: &Snapshot, index: &PodIndex) -> Cluster {
        let mut places: Vec<Attribution> = snapshot
            .processes
            .iter()
            .map(|observation| self.place(observation, index))
            .collect();
        without_left_alone(snapshot, &mut places);
        let counted = || {
            let in_container = |(observation, place): (&'_ Arc<Observation>, &Attribution)| {
                let of = match place {
                    Attribution::Container(of) => Some(Arc::clone(of)),
                    Attribution::Unknown if is_program(observation) => None,
                    _ => return None,
                };
                let id = observation.process.container.as_ref()?.id.clone();
                Some((id, of, Arc::clone(observation)))
            };
            snapshot
                .processes
                .iter()
                .zip(&places)
                .filter_map(in_container)
        };
        let ended = counted()
            .filter(|(_, _, observation)| observation.ended.is_some())
            .map(|(id, _, observation)| (id, observation))
            .collect();
        self.ledger.turn(ended, index);
        let hidden = earlier_runs(counted());
        for (observation, place) in snapshot.processes.iter().zip(&mut places) {
            if let (Attribution::Container(of), Some(container)) =
                (&*place, &observation.process.container)
                && hidden.contains(&container.id)
            {
                *place = Attribution::Uncounted(Arc::clone(of), Uncounted::EarlierRun);
            }
        }
        let past = self
            .ledger
            .past()
            .filter(|(id, _)| !hidden.contains(*id) && !index.excludes(id))
            .filter_map(|(id, sum)| Some((index.container(id)?, Arc::clone(sum))))
            .collect();
        Cluster {
            node: self.node.clone(),
            watch: index.watch.clone(),
            unattributed: unattributed(snapshot, &places),
            places,
            past,
            crowded: self.ledger.crowded(),
            host_processes: self.host_processes,
        }
    }

    fn place(&self, observation: &Observation, index: &PodIndex) -> Attribution {
        let host = || {
            if self.host_processes {
                Attribution::Host
            } else {
                Attribution::LeftOut
            }
        };
        let Some(container) = &observation.process.container else {
            return host();
        };
        match index.find(container) {
            // What was counted before the pod said so is nobody's to see.
            Some(entry) if index.excludes(&container.id) && !observation.is_left_alone() => {
                Attribution::Uncounted(Arc::clone(&entry.of), Uncounted::Excluded)
            }
            Some(entry) if let Some(why) = stranger(observation) => {
                Attribution::Uncounted(Arc::clone(&entry.of), why)
            }
            Some(entry) if is_program(observation) => Attribution::Container(Arc::clone(&entry.of)),
            Some(entry) => Attribution::Uncounted(Arc::clone(&entry.of), Uncounted::NotBegun),
            // A container that some other engine runs on this node.
            None if container.pod_uid.is_none() && self.host_processes => Attribution::Host,
            None => Attribution::Unknown,
        }
    }
}

/// Of a container that others are counted for, those that nobody touches are
/// not: what is not known of them would be known of none.
fn without_left_alone(snapshot: &Snapshot, places: &mut [Attribution]) {
    let id = |observation: &Observation| {
        let container = observation.process.container.as_ref()?;
        Some(container.id.clone())
    };
    let known = snapshot.processes.iter().zip(&*places);
    let counted: HashSet<String> = known
        .filter(|(it, place)| matches!(place, Attribution::Container(_)) && !it.is_left_alone())
        .filter_map(|(observation, _)| id(observation))
        .collect();
    for (observation, place) in snapshot.processes.iter().zip(places) {
        if let Attribution::Container(of) = &*place
            && observation.is_left_alone()
            && id(observation).is_some_and(|id| counted.contains(&id))
        {
            let why = if observation.is_host() {
                Uncounted::SharedLibrary
            } else {
                Uncounted::Excluded
            };
            *place = Attribution::Uncounted(Arc::clone(of), why);
        }
    }
}

/// Why a process in a container is not its service's, if it is not.
fn stranger(observation: &Observation) -> Option<Uncounted> {
    match observation.process.origin? {
        Origin::Service => None,
        Origin::Injected => Some(Uncounted::Injected),
        Origin::Runtime => Some(Uncounted::Runtime),
    }
}

/// Of containers that follow each other under one name, all but the one that
/// runs now, or ran last: its counters begin anew, as a restarted program's do.
fn earlier_runs(
    counted: impl Iterator<Item = (String, Option<Arc<PodContainer>>, Arc<Observation>)>,
) -> HashSet<String> {
    /// The greater one ran last: alive beats ended, later beats earlier.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    struct Run {
        alive: bool,
        ended: Option<SystemTime>,
    }
    let mut runs: HashMap<(String, String, String), HashMap<String, Run>> = HashMap::new();
    for (id, of, observation) in counted {
        let Some(of) = of else { continue };
        let name = (
            of.pod.namespace.clone(),
            of.pod.name.clone(),
            of.name.clone(),
        );
        let run = Run {
            alive: observation.ended.is_none(),
            ended: observation.ended,
        };
        let last = runs.entry(name).or_default().entry(id).or_insert(run);
        *last = run.max(*last);
    }
    let mut earlier = HashSet::new();
    for ids in runs.into_values() {
        let now = ids.iter().max_by_key(|(_, run)| **run);
        let now = now.map(|(id, _)| id.clone());
        earlier.extend(ids.into_keys().filter(|id| Some(id) != now.as_ref()));
    }
    earlier
}

/// Whether the process runs a Go program that has begun. A container's runtime
/// makes its first process, and each that is executed in it later, from a
/// program of its own that forks into the container and executes there; and
/// until a runtime has started there is nothing to sum.
fn is_program(observation: &Observation) -> bool {
    let process = &observation.process;
    // On a busy node it waits for its start longer than any bound.
    if process.forked && discover::enters_container(&process.comm) {
        return false;
    }
    if process.forked {
        let until = observation.ended.unwrap_or_else(SystemTime::now);
        let age = (process.start_ticks > 0)
            .then(|| discover::started(process.start_ticks))
            .and_then(|began| until.duration_since(began).ok());
        if age.is_none_or(|age| age < ONLY_FORKED) {
            return false;
        }
    }
    let figures = &observation.figures;
    let missing = observation.coverage.0.get(&FigureGroup::State);
    let unsampled = missing
        .and_then(Option::as_ref)
        .is_some_and(|missing| missing.reason == Reason::NotSampled);
    let hit = figures.events.hits() > 0 || figures.events.gc.is_some();
    figures.state.is_some() || !unsampled || (observation.ended.is_some() && hit)
}

fn unattributed(snapshot: &Snapshot, places: &[Attribution]) -> u64 {
    let ids: HashSet<&str> = snapshot
        .processes
        .iter()
        .zip(places)
        .filter(|(observation, place)| {
            observation.ended.is_none() && **place == Attribution::Unknown
        })
        .filter_map(|(observation, _)| Some(observation.process.container.as_ref()?.id.as_str()))
        .collect();
    ids.len() as u64
}
