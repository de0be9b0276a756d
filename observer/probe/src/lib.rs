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

mod atomics;
mod attach;
mod attempt;
mod background_close;
mod breakpoints;
mod btf;
mod calibrate;
mod capabilities;
mod clock;
mod close_order;
mod debuggers;
mod ending;
mod error;
mod events;
#[cfg(test)]
mod forbidden_helpers;
mod group_status;
mod hit_cost;
mod kernel;
mod kernel_types;
mod lease;
mod lease_watchdog;
mod link;
mod load;
mod machine;
mod map_plan;
mod mode;
mod pending_leases;
mod perf_event;
mod perf_event_map;
mod plan_check;
mod private_stacks;
mod probes;
mod read;
mod reaper;
mod shutdown;
mod signals;
mod spans;
mod sys;
mod target_links;
mod uprobe_multi;

/// How much the programs say.
pub use aya_log::Level as LogLevel;
// They are part of what this module asks for.
pub use observer_ebpf::{
    Event, EventKind, ProbeGroup, ProcessKey,
    family::{ProcessCounts, Selection, SpanFigures, UnknownFamily},
};

pub use self::{
    calibrate::calibrate_child,
    capabilities::{WITHOUT_PROBES, missing},
    error::ProbeError,
    group_status::{Attached, GroupStatus},
    hit_cost::HitCost,
    kernel::{Features, Kernel},
    load::{AtOnce, LoadOptions, ProgramBytes},
    mode::LinkMode,
    private_stacks::StackError,
    probes::Probes,
    read::Inventory,
    spans::{SpanLabel, Spans},
};
