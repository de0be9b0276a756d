//! The loop that joins the rooms: one observation per process.
//!
//! One thread, the engine, owns the probes and everything that is known. It
//! sleeps until the kernel has an event, a file has been inspected or the
//! interval is over; it publishes a [`Snapshot`] that everything behind it
//! only reads.

mod best;
mod budget;
mod ceiling;
mod cgroups;
mod cluster;
mod cost;
mod coverage;
mod creators;
mod doubt;
mod engine;
mod exclusion;
mod held;
mod hosts;
mod inspector;
mod lineage;
mod need;
mod observation;
mod past;
mod planes;
mod processes;
mod relay;
pub(crate) mod spans;
mod targets;
mod unreadable;
mod watch;

pub use budget::at_once;
pub use cluster::{Cluster, Place, Pod, PodContainer, PodWatch, Uncounted, Workload};
pub(crate) use cost::cost_ns;
pub use creators::{WalkCounts, Walked, Walks};
pub use engine::{Environment, GoroutineProbes, Limits, Node, Snapshots, StartError};
pub use exclusion::{Exclusion, Verdict, Wishes};
pub use observation::{
    Coverage, Differences, EventFigures, Figures, Groups, Health, Missing, Observation, Snapshot,
    StateSample,
};
pub use past::Crowded;
pub(crate) use past::add as add_ended;
