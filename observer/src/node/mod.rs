//! The loop that joins the rooms: one observation per process.
//!
//! One thread, the engine, owns the probes and everything that is known. It
//! sleeps until the kernel has an event, a file has been inspected or the
//! interval is over; it publishes a [`Snapshot`] that everything behind it
//! only reads.

mod best;
mod budget;
mod ceiling;
mod cluster;
mod cost;
mod coverage;
mod creators;
mod engine;
mod inspector;
mod need;
mod observation;
mod planes;
mod processes;
mod targets;
mod watch;

pub use cluster::{Cluster, Place, Pod, PodContainer, PodWatch, Workload};
pub use cost::cost_ns;
pub use creators::{WalkCounts, Walked, Walks};
pub use engine::{GoroutineProbes, Limits, Node, Snapshots, StartError};
pub use observation::{
    Coverage, Differences, EventFigures, Figures, Groups, Health, LastCycle, Missing, Observation,
    Snapshot, StateSample, Stops,
};
