//! A row of the table, as it is served.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};

use super::why::Attention;

/// Processes named in a row; more are only counted in its figures.
pub(super) const PROCESSES: usize = 32;

/// The table at one instant.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RowTable {
    /// Its number: each snapshot has the next.
    pub sequence: u64,
    /// When it was observed, in milliseconds since the epoch.
    #[serde(rename = "at")]
    pub at_ms: f64,
    /// How often figures are read now.
    pub interval_ms: f64,
    /// The node's name; the machine's without Kubernetes.
    pub node: String,
    /// Whether rows are containers of pods.
    pub kubernetes: bool,
    /// What the observer lacks, with what is lost by it.
    pub lacking: Vec<String>,
    /// Whether a point was added to every row's past.
    #[serde(default)]
    pub tick: bool,
    /// The rows.
    pub rows: Vec<Row>,
}

/// A container, or a process outside pods.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Its number, for changes; another row never gets it.
    pub key: u32,
    /// What it is.
    #[serde(flatten)]
    pub about: Arc<About>,
    /// Its figures.
    #[serde(flatten)]
    pub figures: LiveFigures,
    /// Live goroutines of the last points, oldest first; -1 where not known.
    pub spark: Vec<i64>,
}

/// What does not change while a row lives, or seldom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Names the row in paths: `namespace:pod:container`, or `pid:PID:START`
    /// with the process's start in clock ticks since the machine's.
    pub id: String,
    /// The pod's namespace; empty outside pods.
    pub namespace: String,
    /// The pod; empty outside pods.
    pub pod: String,
    /// The container's name; outside pods its id, if it has one.
    pub container: String,
    /// `Deployment/checkout`, where the pod is a copy of something.
    pub workload: Option<String>,
    /// Base name of the executable (of the first process).
    pub process: String,
    /// Go versions it runs.
    pub versions: BTreeSet<String>,
    /// Its living Go processes.
    pub processes: Vec<ProcessRef>,
}

/// A process of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRef {
    /// Process id on the node.
    pub pid: u32,
    /// Base name of its executable.
    pub name: String,
}

/// What is live. `None` where it is not known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LiveFigures {
    /// Goroutines as `runtime.NumGoroutine`.
    pub goroutines: Option<u64>,
    /// Goroutines created in a second.
    pub created_per_second: Option<f64>,
    /// Goroutines ended in a second.
    pub exited_per_second: Option<f64>,
    /// 99th percentile of the collector's stops of the last minute.
    pub pause_p99_ns: Option<u64>,
    /// Share of time that the world stood still, in the last minute.
    pub stopped_share: Option<f64>,
    /// `MemStats.HeapAlloc`; the live heap where that is not known.
    pub heap_bytes: Option<u64>,
    /// The heap's goal: the next collection is to end at it; none with GOGC off.
    pub next_gc_bytes: Option<u64>,
    /// GOMEMLIMIT; none where it is not set.
    pub memory_limit_bytes: Option<u64>,
    /// 99th percentile of how long goroutines waited to run in the last minute, at most.
    pub latency_p99_ns: Option<u64>,
    /// Groups of figures that are exact.
    pub covered: u32,
    /// Groups of figures that its release has.
    pub coverable: u32,
    /// Share of one CPU that probes take from it.
    pub cost_share: Option<f64>,
    /// Why it needs attention.
    pub attention: Vec<Attention>,
}

/// Three digits that matter: more would make every sample a change.
pub(super) fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let scale = 10f64.powi(2 - value.abs().log10().floor() as i32);
    if scale.is_finite() && scale > 0.0 {
        (value * scale).round() / scale
    } else {
        value
    }
}
