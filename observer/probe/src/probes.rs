//! The loaded programs with everything that belongs to them.

use std::{collections::HashMap, fmt};

use aya::{
    Ebpf,
    maps::{self, MapData, PerCpuArray, PerCpuHashMap, RingBuf},
};
use observer_ebpf::{
    GcFigures, GoroutineFigures, ProcessKey, ProgramHealth, Registration, Target,
    family::{InFlight, InFlightKey, Selection, SpanFigures, SpanKey},
};

use super::{
    hit_cost::HitCost, lease::Wanted, lease_watchdog::LeaseWatchdog, link::Link, mode::LinkMode,
    pending_leases::PendingLeases, perf_event::PerfProbes, reaper::Reaper,
    target_links::TargetLinks,
};

/// The loaded programs, their maps and all probes.
///
/// Dropping it takes every probe away, and waits while a debugger is on a program
/// with probes. A thread of the kernel does so for perf-event links, and the drop
/// waits for it. Where the process is killed instead, the kernel takes all away.
pub struct Probes {
    pub(super) ebpf: Ebpf,
    pub(super) mode: LinkMode,
    /// Makes links in [`LinkMode::PerfEvent`].
    pub(super) perf: Option<PerfProbes>,
    pub(super) links: HashMap<u32, TargetLinks>,
    pub(super) reaper: Reaper<Link>,
    /// Keeps leases longer than links, in [`LinkMode::PerfEvent`].
    pub(super) pending_leases: Option<PendingLeases>,
    pub(super) lease_wanted: Wanted,
    /// Burns from the first lease on.
    pub(super) lease_watchdog: Option<LeaseWatchdog>,
    pub(super) processes: maps::HashMap<MapData, u32, Registration>,
    pub(super) goroutines: PerCpuHashMap<MapData, ProcessKey, GoroutineFigures>,
    pub(super) gc: maps::HashMap<MapData, ProcessKey, GcFigures>,
    pub(super) spans: PerCpuHashMap<MapData, SpanKey, SpanFigures>,
    pub(super) in_flight: maps::HashMap<MapData, InFlightKey, InFlight>,
    /// The families that are probed.
    pub(super) selection: Selection,
    pub(super) targets: maps::HashMap<MapData, u32, Target>,
    pub(super) aliases: maps::HashMap<MapData, u64, u64>,
    pub(super) health: PerCpuArray<MapData, ProgramHealth>,
    pub(super) events: RingBuf<MapData>,
    /// Whether the programs can read the memory of processes.
    pub(super) reads_user_memory: bool,
    /// What each hit is charged with.
    pub(super) price: HitCost,
    /// Whether files get no probes on each goroutine until asked for.
    pub(super) cautious: bool,
    /// Hands over what the programs said, where they say anything.
    pub(super) log: Option<Flush>,
}

pub(super) type Flush = Box<dyn FnMut() + Send>;

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
