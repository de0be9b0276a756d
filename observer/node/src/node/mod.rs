//! The loop that joins the rooms: one observation per process.
//!
//! One thread, the engine, owns the probes and everything that is known. It
//! sleeps until the kernel has an event, a file has been inspected or the
//! interval is over; it publishes a [`Snapshot`] that everything behind it
//! only reads.

mod breakpoint;
mod budget;
mod cgroups;
mod clocks;
mod cluster;
mod cost;
mod coverage;
mod cpu_ceiling;
mod creators;
mod cross_check;
mod ended_programs;
mod engine;
mod excluded_processes;
mod exclusion;
mod inspector;
mod kernel;
mod library_hosts;
mod lineage;
mod observation;
mod plausibility;
mod probe_policy;
mod processes;
mod read_watchdog;
mod settings;
mod snapshot;
mod source_precedence;
pub(crate) mod spans;
mod state_sampler;
mod system;
mod target;
mod targets;
mod unreadable;
mod walks;

pub use budget::at_once;
pub use clocks::Clocks;
pub use cluster::{Attribution, Cluster, Pod, PodContainer, PodWatch, Uncounted, Workload};
pub(crate) use cost::cost_ns;
pub use ended_programs::Crowded;
pub(crate) use ended_programs::add as add_ended;
pub use engine::{EngineHandle, StartError};
pub use exclusion::{Admission, Exclusion, OptOut};
pub use observation::{
    Coverage, CoverageGap, Differences, EventFigures, Figures, Observation, ProbeGroups,
    StateSample,
};
pub use settings::{CostLimits, Environment, GoroutineProbes};
pub use snapshot::{ObserverHealth, Snapshot, Snapshots};
pub use walks::{WalkCounts, Walked, Walks};
