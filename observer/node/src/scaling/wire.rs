//! The form of `/api/v1/pods`. Names of fields are stable: new ones may come,
//! none goes or changes its meaning. Instants are in milliseconds since the
//! epoch, by the clock of the node.

use serde::{Deserialize, Serialize};

use super::Histogram;
use crate::node::Uncounted;

/// What this node tells of the containers of its pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodePods {
    /// The node's name.
    pub node: String,
    /// When the answer was made.
    pub now_ms: u64,
    /// When the figures were observed.
    pub observed_ms: u64,
    /// How often they are observed now, stretched where the node's ceiling of
    /// CPU asks for it: what their age is to be held against.
    #[serde(default = "default_interval")]
    pub interval_ms: u64,
    /// Containers with Go processes that live.
    pub containers: Vec<ContainerFigures>,
}

/// That of `--interval`, of a node that does not tell.
const fn default_interval() -> u64 {
    1000
}

/// The Go processes of one container together. What is not known of each of
/// them is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ContainerFigures {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's UID at the API server.
    pub pod_uid: String,
    /// The container's name.
    pub container: String,
    /// Live Go processes that count.
    pub processes: u64,
    /// Their process ids. Nothing that the adapter keeps, as what follows.
    #[serde(default, skip_deserializing)]
    pub counted: Vec<u32>,
    /// Live Go processes in the container that do not count, and why.
    #[serde(default, skip_deserializing)]
    pub uncounted: Vec<LeftOut>,
    /// As they are now.
    pub now: CurrentFigures,
    /// Over a window; absent until two samples were taken of each process.
    pub over: Option<WindowFigures>,
}

/// A process that does not count for the container it is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Its process id.
    pub pid: u32,
    /// Why not, as in `/api/v1/processes`.
    pub why: Uncounted,
}

/// Figures of one instant, summed over the processes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CurrentFigures {
    /// Live goroutines.
    pub goroutines: Option<u64>,
    /// Goroutines that are ready to run and wait for a P.
    pub runnable: Option<u64>,
    /// Ps (GOMAXPROCS).
    pub processors: Option<u64>,
    /// Heap in use.
    pub heap_bytes: Option<u64>,
    /// Heap size at which the next collection is due.
    pub next_gc_bytes: Option<u64>,
    /// Heap in use of those processes that have a memory limit.
    pub limited_heap_bytes: Option<u64>,
    /// Their memory limits; 0 where none has one.
    pub limit_bytes: Option<u64>,
}

/// Figures of a window, summed over the processes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WindowFigures {
    /// How long it really was; of several processes the longest.
    pub window_ms: u64,
    /// Mean of live goroutines.
    pub goroutines: Option<f64>,
    /// Goroutines created per second.
    pub created_per_second: Option<f64>,
    /// Bytes allocated per second.
    pub allocated_bytes_per_second: Option<f64>,
    /// Process-seconds observed: what [`Self::pause_seconds`] is a share of.
    pub process_seconds: f64,
    /// Seconds in which a process was stopped for its collector.
    pub pause_seconds: Option<f64>,
    /// CPU-seconds that the Ps had.
    pub processor_seconds: Option<f64>,
    /// Of those, what the collector took.
    pub gc_cpu_seconds: Option<f64>,
    /// How long goroutines waited for a P.
    pub latencies: Option<Histogram>,
    /// Stops for the collector.
    pub pauses: Option<Histogram>,
}
