//! What is kept of the cluster's objects.

use std::{collections::HashMap, net::IpAddr, time::SystemTime};

use super::object_table::ObjectTable;
use crate::api::{
    path::{ObjectKind, WorkloadKind},
    selector::Labels,
};

/// The label that observers of nodes bear.
pub(super) const APP: (&str, &str) = ("app.kubernetes.io/name", "observer");

/// What is kept of a pod: some hundred bytes of some ten thousand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PodRecord {
    /// Where it lies.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID: a new pod may have an old one's name.
    pub uid: String,
    /// The node it runs on; empty where it has none yet.
    pub node: String,
    /// Its labels.
    pub labels: Labels,
    /// The UID of what controls it.
    pub owner: Option<String>,
    /// Whether its containers run, and go on to.
    pub running: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Of an observer, what else is known of it.
    pub observer: Option<Observer>,
}

/// A pod that is a node's observer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observer {
    /// Where it can be reached, if it runs.
    pub place: Option<ObserverEndpoint>,
    /// The node that it was made for and cannot be scheduled on.
    pub refused: Option<String>,
}

/// Where an observer is reached, and what its kubelet says of it: one that was
/// started again, or is ready again, is as good as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ObserverEndpoint {
    /// Its address.
    pub address: IpAddr,
    /// How often its container was started again.
    pub restarts: i32,
    /// Whether it is ready.
    pub ready: bool,
}

impl From<IpAddr> for ObserverEndpoint {
    fn from(address: IpAddr) -> Self {
        Self {
            address,
            restarts: 0,
            ready: true,
        }
    }
}

/// What is kept of a workload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WorkloadRecord {
    /// Its UID, by which what it controls names it.
    pub uid: String,
    /// The UID of what controls it.
    pub owner: Option<String>,
    /// Its labels.
    pub labels: Labels,
    /// Whether it is being deleted, after its pods.
    pub deleting: bool,
    /// Of a DaemonSet, on how many nodes it wants a pod; `None` while its
    /// controller has not looked at what it is now.
    pub pods_wanted: Option<u64>,
    /// Of a DaemonSet, the labels that it asks of a node.
    pub node_selector: Labels,
}

/// What is kept of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeRecord {
    /// Its labels.
    pub labels: Labels,
    /// Since when the cluster has it.
    pub created: Option<SystemTime>,
}

/// All that is known of the cluster.
#[derive(Debug, Default)]
pub(crate) struct ClusterObjects {
    /// Pods of all namespaces.
    pub pods: ObjectTable<PodRecord>,
    /// Nodes.
    pub nodes: ObjectTable<NodeRecord>,
    /// Workloads by kind.
    pub workloads: HashMap<WorkloadKind, ObjectTable<WorkloadRecord>>,
}

impl ClusterObjects {
    /// Which of the lists are not whole yet.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let listed =
            |kind: &WorkloadKind| self.workloads.get(kind).is_some_and(ObjectTable::is_listed);
        let mut missing: Vec<_> = WorkloadKind::ALL
            .iter()
            .filter(|kind| !listed(kind))
            .map(|kind| ObjectKind::Workload(*kind).resource())
            .collect();
        if !self.pods.is_listed() {
            missing.push(ObjectKind::Pod.resource());
        }
        if !self.nodes.is_listed() {
            missing.push(ObjectKind::Node.resource());
        }
        missing
    }
}
