//! What is known of the whole node at one instant.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use observer_go::binary::Reason;
use observer_probe::{Features, HitCost};
use tokio::sync::watch;

use super::{
    cluster::{Attribution, Cluster},
    ended_programs::Crowded,
    observation::Observation,
    walks::Walks,
};

/// The latest snapshot, `None` until there is one.
pub type Snapshots = watch::Receiver<Option<Arc<Snapshot>>>;

/// Everything known of the node at one instant.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When it was taken.
    pub at: SystemTime,
    /// Go processes, those that ended lately included, ordered by pid.
    pub processes: Vec<Arc<Observation>>,
    /// Sums of those that lived briefly and are shown no more, by program.
    pub past: Vec<Arc<Observation>>,
    /// The observer's own state.
    pub health: ObserverHealth,
    /// Who created the goroutines of the processes walked over lately.
    pub creators: Walks,
    /// What the cluster tells of it; `None` without Kubernetes, and as the
    /// engine takes it.
    pub cluster: Option<Arc<Cluster>>,
}

impl Snapshot {
    /// Each process and where it belongs: without Kubernetes to the host.
    pub fn placed(&self) -> impl Iterator<Item = (&Arc<Observation>, &Attribution)> {
        let places = self.cluster.as_ref().map(|cluster| &cluster.places);
        let place = move |at| places.and_then(|places: &Vec<Attribution>| places.get(at));
        self.processes
            .iter()
            .enumerate()
            .map(move |(at, observation)| (observation, place(at).unwrap_or(&Attribution::Host)))
    }

    /// Whether a process that ended is counted with all others of its program: one that
    /// lived briefly, and whose container's processes are not one series anyway.
    pub(crate) fn folds(&self, observation: &Observation) -> bool {
        let outside = observation.process.container.is_none();
        observation.brief
            && match &self.cluster {
                None => true,
                Some(cluster) => cluster.host_processes && outside,
            }
    }
}

/// The observer's own state.
#[derive(Clone, Debug, Default)]
pub struct ObserverHealth {
    /// The programs' own counters, summed over CPUs.
    pub kernel: observer_ebpf::ProgramHealth,
    /// Probe targets attached now.
    pub targets: u64,
    /// Sites probed now.
    pub sites: u64,
    /// Files that were inspected, by result (`go`, `not_go`, `error`, `left_out`).
    pub inspected: BTreeMap<&'static str, u64>,
    /// Attachments the kernel refused.
    pub refused_attachments: u64,
    /// Entries in the per-process maps (PROCESSES, GOROUTINES, GC).
    pub map_entries: BTreeMap<&'static str, u64>,
    /// Samples of a process's state.
    pub state_samples: u64,
    /// Those that were dropped, because what was read could not be true or
    /// could not be read.
    pub state_dropped: u64,
    /// What the observer lacks, named, with what is lost by it.
    pub missing: Vec<String>,
    /// What the kernel can do.
    pub features: Features,
    /// Processes that may not be looked at, by reason.
    pub unreadable: BTreeMap<Reason, u64>,
    /// Processes that nobody touches, by reason.
    pub held: BTreeMap<Reason, u64>,
    /// What a probe hit costs a process.
    pub price: HitCost,
    /// How often figures are read now.
    pub interval: Duration,
    /// Ended processes that found no room in the sum of their program.
    pub crowded: Crowded,
}
