//! The loop that joins the rooms: one observation per process.
//!
//! One thread, the engine, owns the probes and everything that is known. It
//! sleeps until the kernel has an event, a file has been inspected or the
//! interval is over; it publishes a [`Snapshot`] that everything behind it
//! only reads.

mod best;
mod breakpoint;
mod budget;
mod ceiling;
mod cgroups;
mod clocks;
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
mod kernel;
mod lineage;
mod need;
mod observation;
mod past;
mod planes;
mod processes;
mod relay;
mod settings;
mod snapshot;
pub(crate) mod spans;
mod system;
mod target;
mod targets;
mod unreadable;
mod walks;
mod watch;

pub use budget::at_once;
pub use clocks::Clocks;
pub use cluster::{Cluster, Place, Pod, PodContainer, PodWatch, Uncounted, Workload};
pub(crate) use cost::cost_ns;
pub use engine::{Node, StartError};
pub use exclusion::{Exclusion, Verdict, Wishes};
pub use observation::{
    Coverage, Differences, EventFigures, Figures, Groups, Missing, Observation, StateSample,
};
pub use past::Crowded;
pub(crate) use past::add as add_ended;
pub use settings::{Environment, GoroutineProbes, Limits};
pub use snapshot::{Health, Snapshot, Snapshots};
pub use walks::{WalkCounts, Walked, Walks};
