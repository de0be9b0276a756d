//! All that the engine knows and owns.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    num::NonZeroUsize,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use lru::LruCache;
use observer_ebpf::{Event, ProcessKey, family::Selection};
use observer_go::discover::{Executable, FileId};
use observer_probe::HitCost;
use tokio::sync::watch;

use super::{
    blocked_reads::BlockedReads,
    newcomer_tries::Newcomers,
    schedule::{Round, Schedule},
    stop::Stop,
};
use crate::{
    liveness::{Liveness, Pulse},
    node::{
        budget::Budget,
        cgroups::Cgroups,
        clocks::Clocks,
        cpu_ceiling::CpuCeiling,
        creators::CreatorWalker,
        excluded_processes::ExcludedProcesses,
        exclusion::Exclusion,
        inspector::Inspector,
        kernel::KernelSide,
        library_hosts::LibraryHosts,
        lineage::Lineage,
        processes::Processes,
        read_watchdog::ReadWatchdog,
        settings::{CostLimits, Environment, GoroutineProbes},
        snapshot::{ObserverHealth, Snapshot},
        system::{Live, System},
        targets::Targets,
        unreadable::Unreadable,
    },
};

/// Execs remembered whose process was gone before it could be looked at.
const EXECS: NonZeroUsize = NonZeroUsize::new(8192).expect("not zero");

/// The engine. What it does is in the files beside this one, each with its own part.
pub(super) struct Engine {
    /// Dropped first: that it ended is the reason why all behind it does.
    pub(super) pulse: Pulse,
    pub(super) schedule: Schedule,
    pub(super) clocks: Clocks,
    pub(super) watchdog: Arc<ReadWatchdog<Self>>,
    /// The round of samples that goes on.
    pub(super) round: Option<Round>,
    /// The reads that were given up.
    pub(super) blocked: BlockedReads,
    pub(super) ceiling: CpuCeiling,
    pub(super) budget: Budget,
    pub(super) price: HitCost,
    pub(super) goroutine_probes: GoroutineProbes,
    /// Probes leave so slowly that newcomers get none on each goroutine.
    pub(super) cautious: bool,
    pub(super) newcomers: Newcomers,
    pub(super) probes: Option<Box<dyn KernelSide>>,
    pub(super) system: Arc<dyn System>,
    pub(super) environment: Environment,
    pub(super) creators: Option<CreatorWalker>,
    pub(super) inspector: Inspector,
    /// Which families are probed.
    pub(super) selection: Selection,
    pub(super) targets: Targets,
    pub(super) processes: Processes,
    pub(super) exclusion: Exclusion,
    pub(super) left_alone: ExcludedProcesses,
    pub(super) hosts: LibraryHosts,
    pub(super) cgroups: Cgroups,
    pub(super) lineage: Lineage,
    /// Processes whose file is being inspected, and when they ran it.
    pub(super) waiting: HashMap<FileId, Vec<(Executable, u32, Option<u64>)>>,
    /// When a process that was gone too soon ran its program.
    pub(super) execs: LruCache<u32, u64>,
    /// Targets whose probes are to change once nobody traces their processes.
    pub(super) held: HashSet<u32>,
    /// Whose unobserved processes were, of targets that had to give way.
    pub(super) disowned: LruCache<ProcessKey, u32>,
    /// Keys in the kernel's maps that belonged to nobody at the last sweep.
    pub(super) strays: HashSet<ProcessKey>,
    pub(super) unreadable: Unreadable,
    pub(super) map_entries: BTreeMap<&'static str, u64>,
    /// When everything was last compared with /proc, and how many events had
    /// been lost by then; `None` where there are none.
    pub(super) compared: Option<(Instant, Option<u64>)>,
    pub(super) state_samples: u64,
    pub(super) state_dropped: u64,
    pub(super) sender: watch::Sender<Option<Arc<Snapshot>>>,
    pub(super) stop: Arc<Stop>,
    /// Last, so that it closes when all else is gone.
    #[expect(dead_code, reason = "its drop is what is heard")]
    pub(super) alive: Option<mpsc::Sender<()>>,
}

impl Engine {
    /// One that knows nothing yet, and has no probes.
    pub(super) fn new(
        interval: Duration,
        limits: CostLimits,
        sender: watch::Sender<Option<Arc<Snapshot>>>,
        stop: Arc<Stop>,
        liveness: &Liveness,
    ) -> std::io::Result<Self> {
        let began = Instant::now();
        Ok(Self {
            pulse: liveness.part("engine"),
            schedule: Schedule {
                began,
                next_sample: began + interval,
                next_sweep: began,
                next_account: began,
                first: true,
            },
            clocks: limits.clocks,
            watchdog: ReadWatchdog::start(liveness.part("watch"))?,
            round: None,
            blocked: BlockedReads::default(),
            ceiling: CpuCeiling::new(limits.cpu_ceiling, interval),
            budget: Budget::new(limits.probe_budget),
            price: limits.price,
            goroutine_probes: limits.goroutine_probes,
            selection: limits.selection,
            cautious: false,
            newcomers: Newcomers::default(),
            probes: None,
            system: Arc::new(Live),
            environment: Environment::default(),
            creators: None,
            inspector: Inspector::new(limits.cpu_ceiling, limits.selection)?,
            targets: Targets::new(),
            processes: Processes::new(),
            exclusion: Exclusion::default(),
            left_alone: ExcludedProcesses::default(),
            hosts: LibraryHosts::default(),
            cgroups: Cgroups::new(),
            lineage: Lineage::new(),
            waiting: HashMap::new(),
            execs: LruCache::new(EXECS),
            disowned: LruCache::new(EXECS),
            held: HashSet::new(),
            strays: HashSet::new(),
            unreadable: Unreadable::default(),
            map_entries: BTreeMap::new(),
            compared: None,
            state_samples: 0,
            state_dropped: 0,
            sender,
            stop,
            alive: None,
        })
    }

    /// Whether the process was looked at, and is observed or left alone since.
    pub(super) fn knows(&self, pid: u32) -> bool {
        self.processes.contains(pid) || self.left_alone.contains(pid)
    }

    /// Whether an event tells of an earlier life of a process than the one that is
    /// observed. A sweep may be faster than events, and has ended the earlier one.
    pub(super) fn is_outrun(&self, event: &Event) -> bool {
        let key = self.processes.get(event.tgid).and_then(|it| it.key);
        // Epochs are times, and start over after more than an hour.
        let is_later = |key: ProcessKey| (key.epoch.wrapping_sub(event.epoch) as i32) > 0;
        event.epoch != 0 && key.is_some_and(is_later)
    }

    pub(super) fn health(&self) -> ObserverHealth {
        ObserverHealth {
            kernel: self
                .probes
                .as_deref()
                .map(KernelSide::health)
                .unwrap_or_default(),
            targets: self.targets.len() as u64,
            sites: self.targets.sites() as u64,
            inspected: self.targets.inspected.clone(),
            refused_attachments: self.targets.refused,
            state_samples: self.state_samples,
            state_dropped: self.state_dropped,
            map_entries: self.map_entries.clone(),
            missing: self.environment.missing.clone(),
            features: self.environment.features.clone(),
            unreadable: self.unreadable.by_reason(),
            held: self.left_alone.by_reason(),
            price: self.price,
            interval: self.ceiling.interval(),
            crowded: self.processes.crowded(),
        }
    }
}
