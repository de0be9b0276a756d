//! The kernel's partner: loads the eBPF programs, sets and removes probes, and reads
//! what they counted.
//!
//! **In** goes what the kernel has ([`Kernel`]), the sites of a file
//! ([`SitePlan`](observer_go::binary::SitePlan)), and what probes may cost.
//!
//! **Out** comes which probes stand ([`Attached`]), [`Event`]s ([`Probes::drain`]), and
//! counts for each process ([`Probes::read`]). [`missing`] names what the kernel lacks,
//! and what is lost by it.
//!
//! One thread owns a [`Probes`] and drives it; every call may block for as
//! long as the kernel takes, except [`Probes::detach`].

mod attach;
mod attempt;
mod breakpoints;
mod calibrate;
mod capabilities;
mod clock;
mod end;
mod ending;
mod error;
mod events;
mod fuse;
mod handover;
#[cfg(test)]
mod harmless;
mod hit_cost;
mod keeper;
mod kernel;
mod kernel_types;
mod lease;
mod link;
mod load;
mod map_plan;
mod mode;
mod multi;
mod order;
mod perf;
mod planned;
mod probes;
mod read;
mod reaper;
mod settling;
mod signals;
mod spans;
mod stacks;
mod standing;
mod sys;
mod target_links;
mod traced;

/// How much the programs say.
pub use aya_log::Level as LogLevel;
// They are part of what this module asks for.
pub use observer_ebpf::{
    Event, EventKind, Group, ProcessKey,
    family::{Reading, Selection, SpanFigures, UnknownFamily},
};

pub use self::{
    calibrate::calibrate_child,
    capabilities::{WITHOUT_PROBES, missing},
    error::ProbeError,
    hit_cost::HitCost,
    kernel::{Features, Kernel},
    load::{AtOnce, LoadOptions, ProgramBytes},
    mode::LinkMode,
    probes::Probes,
    read::Inventory,
    spans::{SpanLabel, Spans},
    stacks::StackError,
    standing::{Attached, Standing},
};
