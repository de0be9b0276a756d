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
mod error;
mod events;
mod fuse;
mod handover;
#[cfg(test)]
mod harmless;
mod keeper;
mod kernel;
mod kernel_types;
mod lease;
mod link;
mod load;
mod map_plan;
mod multi;
mod order;
mod perf;
mod planned;
mod read;
mod reaper;
mod settling;
mod spans;
mod stacks;
mod sys;
mod traced;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use aya::{
    Ebpf,
    maps::{self, MapData, PerCpuArray, PerCpuHashMap, RingBuf},
};
use observer_ebpf::{
    GcFigures, GoroutineFigures, Health, Registration, Target,
    family::{InFlight, InFlightKey, SpanKey},
};
use observer_go::binary::Site;

use self::{
    attach::TargetLinks, fuse::Fuse, lease::Wanted, link::Link, perf::PerfProbes, reaper::Reaper,
    settling::Settling,
};
/// How much the programs say.
pub use aya_log::Level as LogLevel;
// They are part of what this module asks for.
pub use observer_ebpf::{
    Event, EventKind, Group, ProcessKey,
    family::{Reading, Selection, SpanFigures, UnknownFamily},
};

pub use self::{
    calibrate::{HitCost, calibrate_child},
    capabilities::{WITHOUT_PROBES, missing},
    error::ProbeError,
    kernel::{Features, Kernel},
    load::{AtOnce, LoadOptions, ProgramBytes},
    read::Inventory,
    spans::{SpanLabel, Spans},
    stacks::StackError,
};

/// The kernel mechanism that probes are set by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkMode {
    /// One `uprobe_multi` link for a target (kernel 6.6 and newer).
    UprobeMulti,
    /// One perf-event link for each site.
    PerfEvent,
}

impl LinkMode {
    /// Its name for logs and metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::UprobeMulti => "uprobe_multi",
            Self::PerfEvent => "perf_event",
        }
    }
}

/// What [`Probes::attach`] achieved.
#[derive(Clone, Debug, Default)]
pub struct Attached {
    /// Sites the kernel refused, and why.
    pub refused: Vec<(Site, String)>,
    /// How each group of probes stands that the file has sites of.
    pub groups: BTreeMap<Group, Standing>,
}

/// How one group of a target's probes stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// How many sites it has that the kernel takes.
    pub sites: usize,
    /// Since when its probes are live (CLOCK_MONOTONIC, nanoseconds); `None`
    /// while they are off.
    pub since_ns: Option<u64>,
}

impl Standing {
    /// Whether a program that began then was seen whole by it.
    pub fn saw(self, exec: Option<u64>) -> bool {
        exec.zip(self.since_ns)
            .is_some_and(|(exec, since)| exec > since)
    }

    /// Whether its probes are set.
    pub fn is_on(self) -> bool {
        self.sites > 0 && self.since_ns.is_some()
    }
}

impl Attached {
    /// How a group stands.
    pub fn of(&self, group: Group) -> Standing {
        self.groups.get(&group).copied().unwrap_or_default()
    }

    /// The same, to be changed.
    pub fn of_mut(&mut self, group: Group) -> &mut Standing {
        self.groups.entry(group).or_default()
    }

    /// Sites with a probe now.
    pub fn sites(&self) -> usize {
        self.groups
            .values()
            .filter(|group| group.is_on())
            .map(|group| group.sites)
            .sum()
    }
}

/// The loaded programs, their maps and all probes.
///
/// Dropping it takes every probe away, and waits while a debugger is on a program
/// with probes. A thread of the kernel does so for perf-event links, and the drop
/// waits for it. Where the process is killed instead, the kernel takes all away.
pub struct Probes {
    ebpf: Ebpf,
    mode: LinkMode,
    /// Makes links in [`LinkMode::PerfEvent`].
    perf: Option<PerfProbes>,
    links: HashMap<u32, TargetLinks>,
    reaper: Reaper<Link>,
    /// Keeps leases longer than links, in [`LinkMode::PerfEvent`].
    settling: Option<Settling>,
    lease_wanted: Wanted,
    /// Burns from the first lease on.
    fuse: Option<Fuse>,
    processes: maps::HashMap<MapData, u32, Registration>,
    goroutines: PerCpuHashMap<MapData, ProcessKey, GoroutineFigures>,
    gc: maps::HashMap<MapData, ProcessKey, GcFigures>,
    spans: PerCpuHashMap<MapData, SpanKey, SpanFigures>,
    in_flight: maps::HashMap<MapData, InFlightKey, InFlight>,
    /// The families that are probed.
    selection: Selection,
    targets: maps::HashMap<MapData, u32, Target>,
    aliases: maps::HashMap<MapData, u64, u64>,
    health: PerCpuArray<MapData, Health>,
    events: RingBuf<MapData>,
    /// Whether the programs can read the memory of processes.
    reads_user_memory: bool,
    /// What each hit is charged with.
    price: HitCost,
    /// Whether files get no probes on each goroutine until asked for.
    cautious: bool,
    /// Hands over what the programs said, where they say anything.
    log: Option<Flush>,
}

type Flush = Box<dyn FnMut() + Send>;

impl fmt::Debug for Probes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probes")
            .field("mode", &self.mode)
            .field("targets", &self.links.keys())
            .finish_non_exhaustive()
    }
}

impl Probes {
    /// Whether the thread that takes probes away has ended before its time.
    pub fn has_lost_a_thread(&self) -> bool {
        self.reaper.has_lost_its_thread()
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        if let Some(log) = &mut self.log {
            log();
        }
        // The end may take a while, too.
        self.renew();
        let links = self.reaper.end();
        end::close(links, || self.renew());
        let hurry = self.close_all();
        self.settle(hurry);
    }
}
