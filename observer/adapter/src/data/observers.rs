//! Which nodes have an observer, which will, and which can have none: by the
//! DaemonSets' own word. That does not count a node that has just come to the cluster,
//! so that such a node is waited for, unless it lacks a label that they ask for.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, SystemTime},
};

use super::objects::{APP, ClusterObjects, ObserverEndpoint, WorkloadRecord};
use crate::api::{path::WorkloadKind, selector::Labels};

/// How long a DaemonSet's controller may take until it counts a new node. It takes a
/// second or so, and its status some more to come here. Clocks may be that much apart.
const COUNTED: Duration = Duration::from_secs(60);

/// What the label says of the nodes for which there is an observer.
const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

/// What can be learnt of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Its observer runs here.
    At(ObserverEndpoint),
    /// It has an observer that does not run.
    Silent,
    /// It has none, and may get one.
    Awaited,
    /// It can have none: why.
    Beyond(String),
}

/// What is on a node, by how much it is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seat {
    /// The scheduler has no room for a pod that was made for it.
    Refused,
    /// A pod that does not run.
    Silent,
    /// One that runs.
    At {
        place: ObserverEndpoint,
        leaving: bool,
    },
}

impl Seat {
    /// Of an old one that leaves and a new one that begins, whichever is ready.
    const fn worth(self) -> (bool, bool, bool, bool) {
        match self {
            Self::Refused => (false, false, false, false),
            Self::Silent => (true, false, false, false),
            Self::At { place, leaving } => (true, true, place.ready, !leaving),
        }
    }
}

/// The observers of all nodes.
#[derive(Debug)]
pub(crate) struct Observers<'a> {
    objects: &'a ClusterObjects,
    seats: HashMap<&'a str, Seat>,
    /// Whether each node that is to have one has, of those that are counted.
    complete: bool,
    /// What their DaemonSets ask of a node.
    asked: Vec<&'a Labels>,
    now: SystemTime,
}

impl ClusterObjects {
    /// The observers of nodes, which run in this namespace.
    pub(crate) fn observers(&self, namespace: &str) -> Observers<'_> {
        Observers::of(self, namespace)
    }
}

impl<'a> Observers<'a> {
    fn of(objects: &'a ClusterObjects, namespace: &str) -> Self {
        let mut seats: HashMap<&str, Seat> = HashMap::new();
        let mut owners = HashSet::new();
        for (_, pod) in objects.pods.within(namespace) {
            let Some(observer) = &pod.observer else {
                continue;
            };
            owners.extend(pod.owner.as_deref());
            let (node, seat) = match (&observer.refused, observer.place) {
                (Some(node), _) => (node, Seat::Refused),
                (None, Some(place)) => {
                    let leaving = pod.deleting;
                    (&pod.node, Seat::At { place, leaving })
                }
                (None, None) => (&pod.node, Seat::Silent),
            };
            let known = seats.entry(node).or_insert(seat);
            if seat.worth() > known.worth() {
                *known = seat;
            }
        }
        // One that is bound to no node yet is not on the node of no name.
        seats.remove("");
        let all = objects.workloads.get(&WorkloadKind::DaemonSet);
        let all = all.into_iter().flat_map(|all| all.within(namespace));
        let ours = |set: &&WorkloadRecord| {
            let named = set.labels.get(APP.0).is_some_and(|app| app == APP.1);
            named || owners.contains(set.uid.as_str())
        };
        let daemons: Vec<&WorkloadRecord> = all.map(|(_, set)| set.as_ref()).filter(ours).collect();
        let wanted: Option<Vec<u64>> = daemons.iter().map(|set| set.pods_wanted).collect();
        let seated = seats
            .keys()
            .filter(|node| objects.nodes.entry("", node).is_some())
            .count();
        // Where no DaemonSet tells, a node without an observer may well be
        // about to get one.
        let complete = wanted.is_some_and(|wanted| {
            !wanted.is_empty() && wanted.iter().sum::<u64>() <= seated as u64
        });
        Self {
            objects,
            seats,
            complete,
            asked: daemons.iter().map(|set| &set.node_selector).collect(),
            now: SystemTime::now(),
        }
    }

    /// Of the node of this name.
    pub(crate) fn reach(&self, node: &str) -> Reach {
        match self.seats.get(node) {
            Some(Seat::At { place, .. }) => Reach::At(*place),
            // A pod that was made for it would wait for an image that is not there.
            Some(Seat::Silent) | None if self.is_of_another_architecture(node) => {
                Reach::Beyond(format!("{}, for which there is no image", self.kind(node)))
            }
            Some(Seat::Silent) => Reach::Silent,
            Some(Seat::Refused) => Reach::Beyond("no room for its pod".to_owned()),
            None if self.complete && !self.may_be_uncounted(node) => {
                Reach::Beyond(format!("{}, left out by their DaemonSet", self.kind(node)))
            }
            None => Reach::Awaited,
        }
    }

    /// Whether a node may get an observer, and is so young that no DaemonSet may have
    /// counted it.
    fn may_be_uncounted(&self, node: &str) -> bool {
        // A node that is gone gets none any more, though its pods may stay a while.
        let Some((_, node)) = self.objects.nodes.entry("", node) else {
            return false;
        };
        let is_young = node.created.is_some_and(|created| {
            // It may be of a moment that has not come here yet.
            let apart = self.now.duration_since(created);
            apart.unwrap_or_else(|ahead| ahead.duration()) < COUNTED
        });
        let has = |asked: &Labels| {
            let mut asked = asked.iter();
            asked.all(|(label, value)| node.labels.get(label) == Some(value))
        };
        is_young && self.asked.iter().any(|asked| has(asked))
    }

    /// Nodes that can have no observer.
    pub(crate) fn beyond(&self) -> usize {
        let nodes = self.objects.nodes.within("");
        nodes
            .filter(|(node, _)| matches!(self.reach(node), Reach::Beyond(_)))
            .count()
    }

    /// Whether a node says that it is of an architecture without an observer.
    fn is_of_another_architecture(&self, node: &str) -> bool {
        let said = self.label(node, "kubernetes.io/arch");
        said.is_some_and(|said| !ARCHITECTURES.contains(&said))
    }

    /// What kind of machine a node is, as far as it says.
    fn kind(&self, node: &str) -> String {
        let [os, arch] = ["kubernetes.io/os", "kubernetes.io/arch"]
            .map(|name| self.label(node, name).unwrap_or("unknown"));
        format!("{os}/{arch}")
    }

    fn label(&self, node: &str, name: &str) -> Option<&str> {
        let (_, node) = self.objects.nodes.entry("", node)?;
        Some(node.labels.get(name)?.as_str())
    }
}
