//! Which figures there are, and why one is left out.

use observer_ebpf::family::Family;
use serde::{Serialize, Serializer};

use crate::release::{self, GapReason, StateGap};

/// A figure that is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Which.
    pub figure: FigureGroup,
    /// Why, as one bounded word for a metric's label.
    pub reason: Reason,
    /// Why, for people; names the function, version or section.
    pub detail: String,
}

/// Groups of figures that are covered or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FigureGroup {
    /// Goroutines created.
    GoroutinesCreated,
    /// Goroutines ended.
    GoroutinesExited,
    /// Live goroutines as `runtime.NumGoroutine` counts them.
    Goroutines,
    /// Collections by trigger.
    GcCycles,
    /// Pauses of the collector.
    GcPauses,
    /// Other stops of the world.
    OtherStops,
    /// The runtime's state as a whole: live goroutines, threads, heap,
    /// settings, latencies, totals of collections.
    State,
    /// Goroutines created and ended since the process began.
    StateGoroutinesCreated,
    /// Goroutines by what they do.
    StateGoroutineStates,
    /// Time waited for mutexes.
    StateMutexWait,
    /// GOMEMLIMIT.
    StateMemoryLimit,
    /// Allocation.
    StateAllocation,
    /// CPU time by purpose.
    StateGcCpu,
    /// The runtime's own histograms of stops.
    StateStops,
    /// What the family of this number counts, which is declared as a span.
    Declared(u8),
}

impl Serialize for FigureGroup {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}

impl FigureGroup {
    /// Those that probes count; [`Self::Goroutines`] the state tells too.
    pub const EVENTS: [Self; 6] = [
        Self::GoroutinesCreated,
        Self::GoroutinesExited,
        Self::Goroutines,
        Self::GcCycles,
        Self::GcPauses,
        Self::OtherStops,
    ];

    /// Those that are read from memory.
    pub const STATE: [Self; 8] = [
        Self::State,
        Self::StateGoroutinesCreated,
        Self::StateGoroutineStates,
        Self::StateMutexWait,
        Self::StateMemoryLimit,
        Self::StateAllocation,
        Self::StateGcCpu,
        Self::StateStops,
    ];

    /// All of them but those of declared families.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::EVENTS.into_iter().chain(Self::STATE)
    }

    /// Its label value.
    pub fn label(self) -> &'static str {
        match self {
            Self::Declared(number) => Family::of(number).map_or("", |family| family.name),
            Self::GoroutinesCreated => "goroutines_created",
            Self::GoroutinesExited => "goroutines_exited",
            Self::Goroutines => "goroutines",
            Self::GcCycles => "gc_cycles",
            Self::GcPauses => "gc_pauses",
            Self::OtherStops => "other_stops",
            Self::State => "state",
            Self::StateGoroutinesCreated => "state_goroutines_created",
            Self::StateGoroutineStates => "state_goroutine_states",
            Self::StateMutexWait => "state_mutex_wait",
            Self::StateMemoryLimit => "state_memory_limit",
            Self::StateAllocation => "state_allocation",
            Self::StateGcCpu => "state_gc_cpu",
            Self::StateStops => "state_stops",
        }
    }
}

/// Why a figure is left out, bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Go older than 1.17 or newer than the newest verified, or a development build.
    UnsupportedVersion,
    /// No plain release of Go, and the file does not tell how its runtime differs.
    UnverifiedBuild,
    /// A c-shared library or plugin inside another program.
    UnsupportedBuildMode,
    /// No function table was found.
    NoFunctionTable,
    /// The function is not in the table.
    NoFunction,
    /// The function's instructions have no place that would count exactly.
    NoSite,
    /// The process ran before its probes were attached, so what came before is not known.
    StartedBefore,
    /// The kernel refused the probe.
    ProbeRefused,
    /// Nothing would keep a writer from the file while it carries probes.
    Unguarded,
    /// Somebody writes to the file, or has done since it was inspected.
    FileWritten,
    /// The file or the process could not be read.
    PermissionDenied,
    /// AppArmor confines the observer, and its profile forbids to read the process.
    Apparmor,
    /// The probes are not attached yet.
    Attaching,
    /// The kernel's table for this process had no room.
    MapFull,
    /// The observer lacks eBPF.
    NoEbpf,
    /// The probes cost a process of this file more than the budget, and are off for a while.
    OverBudget,
    /// This release's runtime does not keep it.
    NotInRelease,
    /// No place in memory is proven for it in this release.
    UnknownLayout,
    /// A global variable of the runtime was not found.
    NoGlobal,
    /// One was found, but what the process has there cannot be it.
    Unconfirmed,
    /// The process has more threads than are followed at each sample.
    TooManyThreads,
    /// What was read could not be true, several times in a row.
    ImplausibleValue,
    /// The process has not been sampled yet, or not lately, or had ended before it was.
    NotSampled,
    /// Its memory could not be read.
    ReadFailed,
    /// Nobody is to observe the process, or another one that runs the same file.
    Excluded,
    /// Not known yet is the pod, which may not want it to be observed.
    PodUnknown,
    /// A read of its memory has not come back: who has to serve the page does not.
    ReadBlocked,
    /// What memory says contradicts what probes counted, or what a machine can do.
    PlanesDisagree,
    /// It has more Ps or the like than are read of any process.
    TooMany,
    /// The program is not Go; Go is in a library that it loaded.
    SharedLibrary,
}

impl Reason {
    /// Its label value.
    pub const fn label(self) -> &'static str {
        match self {
            Self::UnsupportedVersion => "unsupported_version",
            Self::UnverifiedBuild => "unverified_build",
            Self::UnsupportedBuildMode => "unsupported_build_mode",
            Self::NoFunctionTable => "no_function_table",
            Self::NoFunction => "no_function",
            Self::NoSite => "no_site",
            Self::StartedBefore => "started_before",
            Self::ProbeRefused => "probe_refused",
            Self::Unguarded => "unguarded",
            Self::FileWritten => "file_written",
            Self::PermissionDenied => "permission_denied",
            Self::Apparmor => "apparmor",
            Self::Attaching => "attaching",
            Self::MapFull => "map_full",
            Self::NoEbpf => "no_ebpf",
            Self::OverBudget => "over_budget",
            Self::NotInRelease => "not_in_release",
            Self::UnknownLayout => "unknown_layout",
            Self::NoGlobal => "no_global",
            Self::Unconfirmed => "unconfirmed",
            Self::TooManyThreads => "too_many_threads",
            Self::ImplausibleValue => "implausible_value",
            Self::NotSampled => "not_sampled",
            Self::ReadFailed => "read_failed",
            Self::Excluded => "excluded",
            Self::PodUnknown => "pod_unknown",
            Self::ReadBlocked => "read_blocked",
            Self::PlanesDisagree => "planes_disagree",
            Self::TooMany => "too_many",
            Self::SharedLibrary => "shared_library",
        }
    }
}

impl From<StateGap> for Gap {
    fn from(gap: StateGap) -> Self {
        Self {
            figure: match gap.figure {
                release::StateFigure::State => FigureGroup::State,
                release::StateFigure::GoroutinesCreated => FigureGroup::StateGoroutinesCreated,
                release::StateFigure::GoroutineStates => FigureGroup::StateGoroutineStates,
                release::StateFigure::MutexWait => FigureGroup::StateMutexWait,
                release::StateFigure::MemoryLimit => FigureGroup::StateMemoryLimit,
                release::StateFigure::Allocation => FigureGroup::StateAllocation,
                release::StateFigure::CollectorCpu => FigureGroup::StateGcCpu,
                release::StateFigure::Stops => FigureGroup::StateStops,
            },
            reason: match gap.reason {
                GapReason::NotInRelease => Reason::NotInRelease,
                GapReason::UnknownLayout => Reason::UnknownLayout,
                GapReason::NoGlobal => Reason::NoGlobal,
                GapReason::Unconfirmed => Reason::Unconfirmed,
                GapReason::TooManyThreads => Reason::TooManyThreads,
            },
            detail: gap.detail,
        }
    }
}
