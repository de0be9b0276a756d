//! What ran in a container and ended, while the container runs on.
//!
//! The engine shows a process for 30 s after its end. A container's counters
//! must not fall back then: a health check that runs every ten seconds would
//! else make each of them look as if the container had started anew.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::pod_index::PodIndex;
use crate::node::{self, Observation};

/// Sums of the processes that are shown no more.
#[derive(Default)]
pub(super) struct EndedProcesses {
    /// Those that had ended and were shown at the last turn, by container.
    shown: Vec<(String, Arc<Observation>)>,
    /// By container: one sum for each kind of program.
    past: HashMap<String, Vec<Arc<Observation>>>,
    /// Those that found no room there.
    crowded: u64,
}

impl EndedProcesses {
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
                let kinds = self.past.entry(id).or_default();
                self.crowded += u64::from(!node::add_ended(kinds, &observation));
            }
        }
        self.past.retain(|id, _| counts(id));
    }

    /// How many found no room in their containers' sums.
    pub(super) fn crowded(&self) -> u64 {
        self.crowded
    }

    /// The sums by container.
    pub(super) fn past(&self) -> impl Iterator<Item = (&str, &Arc<Observation>)> {
        self.past
            .iter()
            .flat_map(|(id, kinds)| kinds.iter().map(|kind| (id.as_str(), kind)))
    }
}
