//! This node's pods by container.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{object::Pod, pod::Record};
use crate::{
    discover,
    node::{PodContainer, PodWatch},
};

/// How long a pod that is gone is remembered: the last figures of its
/// processes are shown for 30 s, and theirs may be the later end.
const KEPT: Duration = Duration::from_mins(2);
/// How many of those at most.
const KEPT_AT_MOST: usize = 2048;

/// All pods of this node, and those that went lately.
#[derive(Default)]
pub(super) struct Pods {
    /// By UID.
    records: HashMap<String, Known>,
    /// UIDs seen since a list began; `None` while none is under way.
    listing: Option<Vec<String>>,
}

struct Known {
    record: Record,
    gone: Option<Instant>,
}

impl Pods {
    /// A list of all pods begins.
    pub(super) fn begin(&mut self) {
        self.listing = Some(Vec::new());
    }

    /// A pod is there, or has changed.
    pub(super) fn apply(&mut self, pod: Pod) {
        let Some(record) = Record::of(pod) else {
            return;
        };
        let uid = record.pod.uid.clone();
        if let Some(listing) = &mut self.listing {
            listing.push(uid.clone());
        }
        let gone = None;
        self.records.insert(uid, Known { record, gone });
    }

    /// A pod is gone. Its last state may tell of containers that no event before did.
    pub(super) fn delete(&mut self, pod: Pod) {
        let Some(record) = Record::of(pod) else {
            return;
        };
        let gone = Some(Instant::now());
        let uid = record.pod.uid.clone();
        self.records.insert(uid, Known { record, gone });
    }

    /// The list is complete: what was not in it is gone.
    pub(super) fn listed(&mut self) {
        let listing = self.listing.take().unwrap_or_default();
        let now = Instant::now();
        for (uid, known) in &mut self.records {
            if known.gone.is_none() && !listing.contains(uid) {
                known.gone = Some(now);
            }
        }
    }

    /// Forgets pods that went long ago.
    pub(super) fn forget(&mut self) {
        self.records
            .retain(|_, known| known.gone.is_none_or(|at| at.elapsed() < KEPT));
        let mut gone: Vec<Instant> = self.records.values().filter_map(|it| it.gone).collect();
        if let Some(excess) = gone.len().checked_sub(KEPT_AT_MOST + 1) {
            gone.sort_unstable();
            let latest = gone[excess];
            self.records
                .retain(|_, known| known.gone.is_none_or(|at| at > latest));
        }
    }

    /// What is known now, for readers.
    pub(super) fn index(&self, watch: PodWatch) -> PodIndex {
        let mut containers = HashMap::new();
        for known in self.records.values() {
            for container in &known.record.containers {
                let entry = Entry {
                    of: Arc::clone(&container.of),
                    cgroup_uid: known.record.cgroup_uid.clone(),
                    running: container.running && known.gone.is_none(),
                };
                containers.insert(container.id.clone(), entry);
            }
        }
        let living = self.records.values().filter(|it| it.gone.is_none());
        let pods = living.count() as u64;
        PodIndex {
            containers,
            watch: PodWatch { pods, ..watch },
        }
    }
}

/// Containers of this node's pods by id.
#[derive(Debug, Default)]
pub struct PodIndex {
    containers: HashMap<String, Entry>,
    pub(super) watch: PodWatch,
}

/// A container of a pod.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) of: Arc<PodContainer>,
    cgroup_uid: String,
    /// Whether it runs.
    running: bool,
}

impl PodIndex {
    /// The pod's container that this is. The id alone identifies it; where the
    /// path of its cgroup names another pod, one of the two is not what it
    /// says, and it is nobody's.
    pub(super) fn find(&self, container: &discover::Container) -> Option<&Entry> {
        let entry = self.containers.get(&container.id)?;
        let uid = container.pod_uid.as_ref();
        uid.is_none_or(|uid| *uid == entry.cgroup_uid)
            .then_some(entry)
    }

    /// The pod's container of this id.
    pub(super) fn container(&self, id: &str) -> Option<Arc<PodContainer>> {
        let entry = self.containers.get(id)?;
        Some(Arc::clone(&entry.of))
    }

    /// Whether a container of this id runs.
    pub(super) fn runs(&self, id: &str) -> bool {
        self.containers.get(id).is_some_and(|entry| entry.running)
    }
}
