//! How each global shows itself in the runtime's code.

/// How a global shows itself in code.
pub(super) struct Pattern {
    pub(super) global: &'static str,
    /// The functions whose references count.
    pub(super) functions: &'static [&'static str],
    /// Fields by their name in the table of layouts.
    pub(super) fields: &'static [&'static str],
    /// More places in it, where it has no type in the table.
    pub(super) places: &'static [u64],
    /// The least number of places that must be met.
    pub(super) least: u32,
    /// A field and the constant its only such reference has.
    pub(super) anchor: Option<(&'static str, u64)>,
    /// Functions in which the base itself must be referred to.
    pub(super) base_in: &'static [&'static str],
    /// Whether the base must be an address that is taken.
    pub(super) base_taken: bool,
    /// Distances from the base that must not be referred to.
    pub(super) not_at: &'static [u64],
}

const NONE: Pattern = Pattern {
    global: "",
    functions: &[],
    fields: &[],
    places: &[],
    least: 2,
    anchor: None,
    base_in: &[],
    base_taken: false,
    not_at: &[],
};

pub(super) const SCHED: Pattern = Pattern {
    global: "runtime.sched",
    functions: &[
        "runtime.schedinit",
        "runtime.newproc1",
        "runtime.stopTheWorldWithSema",
        "runtime.startTheWorldWithSema",
        "runtime.procresize",
        "runtime.checkmcount",
        "runtime.gcMarkTermination",
        "runtime.mcommoninit",
        "runtime.schedule",
    ],
    fields: &[
        "schedt.goidgen",
        "schedt.maxmcount",
        "schedt.mnext",
        "schedt.nmfreed",
        "schedt.ngsys",
        "schedt.npidle",
        "schedt.runqsize",
        "schedt.gFree",
        "schedt.gcwaiting",
        "schedt.stopwait",
        "schedt.totalMutexWaitTime",
    ],
    least: 4,
    // The limit of threads before the program sets one.
    anchor: Some(("schedt.maxmcount", 10_000)),
    ..NONE
};

pub(super) const MEMSTATS: Pattern = Pattern {
    global: "runtime.memstats",
    functions: &["runtime.gcMarkTermination"],
    fields: &[
        "mstats.last_gc_unix",
        "mstats.last_gc_nanotime",
        "mstats.pause_total_ns",
        "mstats.pause_ns",
        "mstats.pause_end",
        "mstats.numgc",
        "mstats.numforcedgc",
        "mstats.gc_cpu_fraction",
    ],
    least: 6,
    ..NONE
};

pub(super) const CONTROLLER: Pattern = Pattern {
    global: "runtime.gcController",
    functions: &[
        "runtime.gcMarkTermination",
        "runtime.gcControllerCommit",
        "runtime.gcStart",
        "runtime.gcMarkDone",
        "runtime.gcMark",
        "runtime.gcSweep",
        "runtime.readmemstats_m",
    ],
    fields: &[
        "gcControllerState.gcPercent",
        "gcControllerState.memoryLimit",
        "gcControllerState.heapMinimum",
        "gcControllerState.heapGoal",
        "gcControllerState.triggered",
        "gcControllerState.lastHeapGoal",
        "gcControllerState.heapLive",
        "gcControllerState.heapMarked",
        "gcControllerState.heapInUse",
        "gcControllerState.heapReleased",
        "gcControllerState.heapFree",
        "gcControllerState.totalAlloc",
        "gcControllerState.totalFree",
        "gcControllerState.trigger",
        "gcControllerState.triggerRatio",
        "gcControllerState.heapScan",
        "gcControllerState.assistTime",
        "gcControllerState.dedicatedMarkTime",
        "gcControllerState.fractionalMarkTime",
        "gcControllerState.idleMarkTime",
        "gcControllerState.markStartTime",
    ],
    least: 5,
    // Its methods are called there.
    base_in: &["runtime.gcControllerCommit"],
    base_taken: true,
    ..NONE
};

/// Where there is no `gcControllerCommit`.
pub(super) const CONTROLLER_BEFORE_COMMIT: Pattern = Pattern {
    base_in: &["runtime.gcMarkDone", "runtime.gcMarkTermination"],
    ..CONTROLLER
};

/// The end of a collection adds to two fields, gives the whole to a method, and computes the
/// collector's share from three fields. Every release does so on every architecture, and refers
/// to no other field there.
pub(super) const CPU_STATS: Pattern = Pattern {
    global: "runtime.work.cpuStats",
    functions: &["runtime.gcMarkTermination"],
    fields: &[
        "cpuStats.GCAssistTime",
        "cpuStats.GCIdleTime",
        "cpuStats.GCPauseTime",
        "cpuStats.GCTotalTime",
        "cpuStats.TotalTime",
    ],
    // All of them must be met. Code for arm64 takes the address of each atomic variable:
    // gcController.assistTime, and what lies behind it, meet four.
    least: 5,
    // Given to the method that adds to it. `work` ends behind it.
    base_taken: true,
    not_at: &[88],
    ..NONE
};

/// Where that method is inlined, every field is met.
pub(super) const CPU_STATS_INLINED: Pattern = Pattern {
    fields: &[
        "cpuStats.GCAssistTime",
        "cpuStats.GCDedicatedTime",
        "cpuStats.GCIdleTime",
        "cpuStats.GCPauseTime",
        "cpuStats.GCTotalTime",
        "cpuStats.ScavengeAssistTime",
        "cpuStats.ScavengeBgTime",
        "cpuStats.ScavengeTotalTime",
        "cpuStats.IdleTime",
        "cpuStats.UserTime",
        "cpuStats.TotalTime",
    ],
    least: 11,
    base_taken: false,
    ..CPU_STATS
};

pub(super) const ALLGS: Pattern = Pattern {
    global: "runtime.allgs",
    functions: &["runtime.allgadd"],
    places: &[0, 8, 16],
    least: 3,
    ..NONE
};

pub(super) const ALLP: Pattern = Pattern {
    global: "runtime.allp",
    functions: &["runtime.procresize"],
    places: &[0, 8, 16],
    least: 3,
    base_in: &["runtime.stopTheWorldWithSema"],
    ..NONE
};

pub(super) const ALLM: Pattern = Pattern {
    global: "runtime.allm",
    functions: &["runtime.mcommoninit"],
    places: &[0],
    least: 1,
    base_in: &["runtime.mexit", "runtime.schedtrace"],
    base_taken: true,
    ..NONE
};
