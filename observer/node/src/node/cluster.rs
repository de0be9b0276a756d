//! Where processes belong in a Kubernetes cluster: the types. The engine knows
//! nothing of it; the `kube` room puts it to a snapshot.

use std::sync::Arc;

use serde::Serialize;

use super::observation::Observation;

/// What the cluster tells of a snapshot.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// The node's name.
    pub node: String,
    /// The watch of this node's pods.
    pub watch: PodWatch,
    /// Of each of [`Snapshot::processes`](super::Snapshot::processes), in their order.
    pub places: Vec<Attribution>,
    /// Totals of what ran and ended, long ago, in containers that run on.
    pub past: Vec<(Arc<PodContainer>, Arc<Observation>)>,
    /// Ended processes that found no room in the sums of their containers.
    pub crowded: u64,
    /// Containers with Go processes that belong to no pod known on this node.
    pub unattributed: u64,
    /// Whether processes outside pods are exported.
    pub host_processes: bool,
}

/// How the watch of this node's pods goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodWatch {
    /// Whether all pods, and all namespaces, were listed once.
    pub listed: bool,
    /// Whether the last word from the API server was a good one.
    pub up: bool,
    /// Failures since the start.
    pub errors: u64,
    /// The same of the watch of namespaces, which say what may be observed.
    pub namespace_errors: u64,
    /// The last of them, while it lasts.
    pub error: Option<String>,
    /// Pods of this node.
    pub pods: u64,
}

/// Where a process belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribution {
    /// Outside any pod, and exported.
    Host,
    /// Outside any pod, and not asked for.
    LeftOut,
    /// In a container that belongs to no pod known on this node, or not yet.
    Unknown,
    /// In a pod's container.
    Container(Arc<PodContainer>),
    /// In a pod's container, and not in its figures.
    Uncounted(Arc<PodContainer>, Uncounted),
}

/// Why a process in a container is not in the container's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Uncounted {
    /// Its program has not begun: what the container's runtime does before that.
    NotBegun,
    /// It was begun from outside while the container ran: by a probe, a hook or
    /// `kubectl exec`.
    Injected,
    /// It is a program of the container's runtime, such as a sandbox.
    Runtime,
    /// It belongs to an earlier run of the container.
    EarlierRun,
    /// Nobody is to observe it.
    Excluded,
    /// Its program is not Go, and of the Go library in it nothing is known.
    SharedLibrary,
}

/// A container of a pod.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct PodContainer {
    /// Its pod.
    #[serde(flatten)]
    pub pod: Arc<Pod>,
    /// Its name in the pod.
    #[serde(rename = "container")]
    pub name: String,
}

/// A pod.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    #[serde(rename = "pod")]
    pub name: String,
    /// Its UID at the API server.
    #[serde(rename = "pod_uid")]
    pub uid: String,
    /// The node it runs on.
    pub node: String,
    /// What it is a copy of; `None` for a pod that stands alone.
    pub workload: Option<Workload>,
}

/// What controls a pod: the Deployment where a ReplicaSet does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Workload {
    /// `Deployment`, `StatefulSet`, `DaemonSet`, `Job`, …
    pub kind: String,
    /// Its name.
    pub name: String,
}
