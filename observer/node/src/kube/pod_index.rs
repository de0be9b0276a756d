//! This node's pods by container.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use observer_go::discover::{self, Membership};

use super::{namespaces::Exclusions, pod::Record, pod_object::Pod};
use crate::{
    exclude::ExclusionRules,
    node::{Admission, PodContainer, PodWatch},
};

/// How long a pod that is gone is remembered: the last figures of its
/// processes are shown for 30 s, and theirs may be the later end.
const KEPT: Duration = Duration::from_mins(2);
/// How many of those at most.
const KEPT_AT_MOST: usize = 2048;

/// All pods of this node, and those that went lately.
#[derive(Default)]
pub(super) struct Pods {
    rules: Arc<ExclusionRules>,
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
    /// None yet.
    pub(super) fn new(rules: Arc<ExclusionRules>) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }

    /// A list of all pods begins.
    pub(super) fn begin(&mut self) {
        self.listing = Some(Vec::new());
    }

    /// A pod is there, or has changed.
    pub(super) fn apply(&mut self, pod: Pod) {
        let Some(record) = Record::of(pod, &self.rules) else {
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
        let Some(record) = Record::of(pod, &self.rules) else {
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
    pub(super) fn index(&self, watch: PodWatch, namespaces: Arc<Exclusions>) -> PodIndex {
        let mut containers = HashMap::new();
        let mut wishes = HashMap::new();
        for known in self.records.values() {
            let record = &known.record;
            let wish = Wish {
                namespace: record.pod.namespace.clone(),
                excluded: record.excluded.clone(),
            };
            wishes.insert(record.cgroup_uid.clone(), wish);
            for container in &known.record.containers {
                let entry = ContainerEntry {
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
            wishes,
            namespaces,
            watch: PodWatch { pods, ..watch },
        }
    }
}

/// What is known of this node's pods.
#[derive(Debug, Default)]
pub struct PodIndex {
    /// By id.
    containers: HashMap<String, ContainerEntry>,
    /// What each pod wants, by the UID in the paths of its cgroups.
    wishes: HashMap<String, Wish>,
    namespaces: Arc<Exclusions>,
    pub(super) watch: PodWatch,
}

/// Whether a pod wants to be observed.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    namespace: String,
    /// Why not, of the pod itself.
    excluded: Option<String>,
}

/// A container of a pod.
#[derive(Debug)]
pub(super) struct ContainerEntry {
    pub(super) of: Arc<PodContainer>,
    cgroup_uid: String,
    /// Whether it runs.
    running: bool,
}

impl PodIndex {
    /// The pod's container that this is. The id alone identifies it; where the
    /// path of its cgroup names another pod, one of the two is not what it
    /// says, and it is nobody's.
    pub(super) fn find(&self, container: &discover::Container) -> Option<&ContainerEntry> {
        let entry = self.containers.get(&container.id)?;
        let uid = container.pod_uid.as_ref();
        uid.is_none_or(|uid| *uid == entry.cgroup_uid)
            .then_some(entry)
    }

    /// Whether a process there may be observed. In no pod it may; which pod a
    /// container is of that has none in its path, tells the pod's status.
    pub(super) fn verdict(&self, place: &Membership, host_processes: bool) -> Admission {
        let named = match (&place.pod_uid, &place.container) {
            (Some(uid), _) => Some(uid.as_str()),
            (None, Some(container)) => match self.containers.get(&container.id) {
                Some(entry) => Some(entry.cgroup_uid.as_str()),
                // As with figures: some other engine's, where those are asked for.
                None if host_processes => None,
                None => {
                    return Admission::Unknown(format!(
                        "the API server has told of no pod with container {}",
                        container.id
                    ));
                }
            },
            (None, None) => None,
        };
        named.map_or(Admission::Observe, |uid| self.wish(uid))
    }

    fn wish(&self, uid: &str) -> Admission {
        let Some(wish) = self.wishes.get(uid) else {
            return Admission::Unknown(format!("the API server has not told of pod {uid}"));
        };
        if let Some(why) = &wish.excluded {
            return Admission::Excluded(why.clone());
        }
        match self.namespaces.get(&wish.namespace) {
            Some(None) => Admission::Observe,
            Some(Some(why)) => Admission::Excluded(why.clone()),
            None => Admission::Unknown(format!(
                "the API server has not told of namespace {}",
                wish.namespace
            )),
        }
    }

    /// Whether the pod's container of this id is not to be observed.
    pub(super) fn excludes(&self, id: &str) -> bool {
        let entry = self.containers.get(id);
        entry.is_some_and(|it| matches!(self.wish(&it.cgroup_uid), Admission::Excluded(_)))
    }

    /// Whether no verdict is another than by that one.
    pub(super) fn decides_as(&self, other: &Self) -> bool {
        let ids = |index: &Self| index.containers.len();
        self.watch.listed == other.watch.listed
            && self.wishes == other.wishes
            && self.namespaces == other.namespaces
            && ids(self) == ids(other)
            && self
                .containers
                .keys()
                .all(|id| other.containers.contains_key(id))
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
