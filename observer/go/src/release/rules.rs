//! What differs between the minor releases of Go, one row each.
//!
//! Where a field lies, and whether there is one at all, is data: `layouts.tsv`. Here is
//! what somebody has to look up in a release's source and machine code.

use observer_ebpf::Abi;

/// What holds for every patch of one minor release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReleaseRules {
    /// Functions of package `runtime` that came with it and stayed. No earlier release
    /// has one of them, every program needs them, and they are too large to be inlined.
    /// `None` for the oldest release, which nothing is to be told from.
    pub(crate) brought: Option<[&'static str; 3]>,
    /// Where a goroutine ends.
    pub(crate) exit: Exit,
    /// What `stopTheWorldWithSema` and `startTheWorldWithSema` are handed.
    pub(crate) stop_abi: Abi,
    /// The function that is told as a text why the world is to stop, where
    /// `stopTheWorldWithSema` is not told.
    pub(crate) reason_function: Option<&'static str>,
    /// Whether the collector calls `stopTheWorldWithSema` itself, so that a
    /// profile-guided build may inline it. Before, it handed the function to
    /// `systemstack`, which nothing inlines.
    pub(crate) stop_is_called: bool,
    /// The function that `stopTheWorldWithSema` calls with the time that stopping took,
    /// where `startTheWorldWithSema` is not told that time.
    pub(crate) stopping_function: Option<&'static str>,
    /// What tells which stop a start of the world ends.
    pub(crate) start: Start,
    /// Bytes from `sched`, whose first field is `goidgen`, to `sched.maxmcount`.
    pub(crate) max_m_count: u64,
    /// Which functions show where `gcController` is.
    pub(crate) controller: ControllerShown,
    /// How the code that adds to `work.cpuStats` looks.
    pub(crate) cpu_stats: CpuStatsAdded,
    /// Whether the room that the pacer leaves below the memory limit grows with it.
    pub(crate) scaled_headroom: bool,
}

impl ReleaseRules {
    /// Whether a stop of the world tells how long stopping took, and not only how long
    /// the world stood still.
    pub(super) const fn tells_stopping(&self) -> bool {
        match self.stop_abi {
            Abi::NoReason | Abi::Reason => false,
            Abi::WorldStopStart | Abi::WorldStopFinished => true,
        }
    }
}

/// The function in which every goroutine ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// `runtime.goexit0`.
    Goexit0,
    /// `runtime.gdestroy`, which `goexit0` calls, and what ends a coroutine.
    Gdestroy,
}

/// What tells which stop a start of the world ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Only who calls `startTheWorldWithSema`.
    Caller {
        /// Bytes from `memstats.numgc` to `memstats.last_gc_nanotime`, which tells
        /// whether the collector has finished a cycle.
        last_gc_from_numgc: u64,
    },
    /// Its argument.
    Argument,
}

/// Which functions show where `gcController` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ControllerShown {
    /// `gcMarkDone` and `gcMarkTermination`, each by itself.
    Collector,
    /// `gcControllerCommit`.
    Commit,
}

/// How the code that adds to `work.cpuStats` looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CpuStatsAdded {
    /// There is no such variable.
    Nowhere,
    /// The method is inlined into `gcMarkTermination`, which so refers to every field.
    Inlined,
    /// `gcMarkTermination` calls the method.
    Called,
}

/// The rules of Go 1.`minor`. `None` for a release that nobody has looked at: it may
/// differ in anything, so no other release's rules stand in for it.
#[allow(
    clippy::too_many_lines,
    reason = "one table; a row is read from top to bottom"
)]
pub(crate) const fn rules(minor: u16) -> Option<&'static ReleaseRules> {
    Some(match minor {
        17 => &ReleaseRules {
            brought: None,
            exit: Exit::Goexit0,
            stop_abi: Abi::NoReason,
            reason_function: Some("runtime.stopTheWorld"),
            stop_is_called: false,
            stopping_function: None,
            start: Start::Caller {
                last_gc_from_numgc: 1664,
            },
            max_m_count: 56,
            controller: ControllerShown::Collector,
            cpu_stats: CpuStatsAdded::Nowhere,
            scaled_headroom: false,
        },
        18 => &ReleaseRules {
            brought: Some([
                "runtime.gcPaceSweeper",
                "runtime.(*gcControllerState).resetLive",
                "runtime.stkobjinit",
            ]),
            exit: Exit::Goexit0,
            stop_abi: Abi::NoReason,
            reason_function: Some("runtime.stopTheWorld"),
            stop_is_called: false,
            stopping_function: None,
            start: Start::Caller {
                last_gc_from_numgc: 1664,
            },
            max_m_count: 56,
            controller: ControllerShown::Collector,
            cpu_stats: CpuStatsAdded::Nowhere,
            scaled_headroom: false,
        },
        19 => &ReleaseRules {
            brought: Some([
                "runtime.findRunnable",
                "runtime.(*gcControllerState).trigger",
                "runtime.(*gcCPULimiterState).updateLocked",
            ]),
            exit: Exit::Goexit0,
            stop_abi: Abi::NoReason,
            reason_function: Some("runtime.stopTheWorld"),
            stop_is_called: false,
            stopping_function: None,
            start: Start::Caller {
                last_gc_from_numgc: 16,
            },
            max_m_count: 56,
            controller: ControllerShown::Commit,
            cpu_stats: CpuStatsAdded::Nowhere,
            scaled_headroom: false,
        },
        20 => &ReleaseRules {
            brought: Some([
                "runtime.deductAssistCredit",
                "runtime.pidlegetSpinning",
                "runtime.getGodebugEarly",
            ]),
            exit: Exit::Goexit0,
            stop_abi: Abi::NoReason,
            reason_function: Some("runtime.stopTheWorld"),
            stop_is_called: false,
            stopping_function: None,
            start: Start::Caller {
                last_gc_from_numgc: 16,
            },
            max_m_count: 56,
            controller: ControllerShown::Commit,
            cpu_stats: CpuStatsAdded::Inlined,
            scaled_headroom: false,
        },
        21 => &ReleaseRules {
            brought: Some([
                "runtime.(*unwinder).resolveInternal",
                "runtime.tracebackPCs",
                "runtime.doInit1",
            ]),
            exit: Exit::Goexit0,
            stop_abi: Abi::Reason,
            reason_function: None,
            stop_is_called: true,
            stopping_function: None,
            start: Start::Caller {
                last_gc_from_numgc: 16,
            },
            max_m_count: 56,
            controller: ControllerShown::Commit,
            cpu_stats: CpuStatsAdded::Called,
            scaled_headroom: true,
        },
        22 => &ReleaseRules {
            brought: Some([
                "runtime.forEachPInternal",
                "runtime.gdestroy",
                "runtime.randinit",
            ]),
            exit: Exit::Gdestroy,
            stop_abi: Abi::WorldStopStart,
            reason_function: None,
            stop_is_called: true,
            stopping_function: Some("runtime.(*timeHistogram).record"),
            start: Start::Argument,
            max_m_count: 56,
            controller: ControllerShown::Commit,
            cpu_stats: CpuStatsAdded::Called,
            scaled_headroom: true,
        },
        23 => &ReleaseRules {
            brought: Some([
                "runtime.(*timer).modify",
                "runtime.(*timers).adjust",
                "runtime.(*timer).unlockAndRun",
            ]),
            exit: Exit::Gdestroy,
            stop_abi: Abi::WorldStopFinished,
            reason_function: None,
            stop_is_called: true,
            stopping_function: None,
            start: Start::Argument,
            max_m_count: 56,
            controller: ControllerShown::Commit,
            cpu_stats: CpuStatsAdded::Called,
            scaled_headroom: true,
        },
        24 => &ReleaseRules {
            brought: Some([
                "runtime.mallocgcLarge",
                "runtime.mallocgcSmallNoscan",
                "runtime.mallocgcSmallScanNoHeader",
            ]),
            exit: Exit::Gdestroy,
            stop_abi: Abi::WorldStopFinished,
            reason_function: None,
            stop_is_called: true,
            stopping_function: None,
            start: Start::Argument,
            max_m_count: 56,
            controller: ControllerShown::Commit,
            cpu_stats: CpuStatsAdded::Called,
            scaled_headroom: true,
        },
        25 => &ReleaseRules {
            brought: Some([
                "runtime.updateMaxProcsGoroutine",
                "runtime.globrunqgetbatch",
                "runtime.checkFinalizersAndCleanups",
            ]),
            exit: Exit::Gdestroy,
            stop_abi: Abi::WorldStopFinished,
            reason_function: None,
            stop_is_called: true,
            stopping_function: None,
            start: Start::Argument,
            max_m_count: 64,
            controller: ControllerShown::Commit,
            cpu_stats: CpuStatsAdded::Called,
            scaled_headroom: true,
        },
        26 => &ReleaseRules {
            brought: Some([
                "runtime.exitsyscallNoP",
                "runtime.(*gcControllerState).assignWaitingGCWorker",
                "runtime.allGsSnapshotSortedForGC",
            ]),
            exit: Exit::Gdestroy,
            stop_abi: Abi::WorldStopFinished,
            reason_function: None,
            stop_is_called: true,
            stopping_function: None,
            start: Start::Argument,
            max_m_count: 80,
            controller: ControllerShown::Commit,
            cpu_stats: CpuStatsAdded::Called,
            scaled_headroom: true,
        },
        27 => &ReleaseRules {
            brought: Some([
                "runtime.moduleTypelinks",
                "runtime.addModuleItabs",
                "runtime.mallocgcTinySlowPath",
            ]),
            exit: Exit::Gdestroy,
            stop_abi: Abi::WorldStopFinished,
            reason_function: None,
            stop_is_called: true,
            stopping_function: None,
            start: Start::Argument,
            max_m_count: 80,
            controller: ControllerShown::Commit,
            cpu_stats: CpuStatsAdded::Called,
            scaled_headroom: true,
        },
        _ => return None,
    })
}

/// The oldest minor release that has a row.
pub(super) const OLDEST: u16 = {
    let mut minor = 0;
    while rules(minor).is_none() {
        minor += 1;
    }
    minor
};

/// The newest one; none between the two is left out.
pub(super) const NEWEST: u16 = {
    let mut minor = OLDEST;
    while rules(minor + 1).is_some() {
        minor += 1;
    }
    minor
};

/// Every row with its minor release, the oldest first.
pub(crate) const ROWS: [(u16, &ReleaseRules); (NEWEST - OLDEST + 1) as usize] = {
    let mut rows = [(OLDEST, row(OLDEST)); (NEWEST - OLDEST + 1) as usize];
    let mut minor = OLDEST;
    while minor < NEWEST {
        minor += 1;
        rows[(minor - OLDEST) as usize] = (minor, row(minor));
    }
    rows
};

const fn row(minor: u16) -> &'static ReleaseRules {
    match rules(minor) {
        Some(rules) => rules,
        None => panic!("no release between the oldest and the newest may lack its row"),
    }
}

#[cfg(test)]
mod tests;
