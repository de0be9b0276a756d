//! What a release's runtime does not keep, or not where it could be read.

use serde::Serialize;

use super::{Arch, layout::Layout, layout_table::LayoutTable};

/// Groups of figures that a binary or a release may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StateFigure {
    /// Everything.
    State,
    /// Goroutines ever created.
    GoroutinesCreated,
    /// Goroutines by what they do, and the threads that Go itself began.
    GoroutineStates,
    /// Time waited for mutexes.
    MutexWait,
    /// GOMEMLIMIT.
    MemoryLimit,
    /// Allocation.
    Allocation,
    /// CPU time by purpose.
    CollectorCpu,
    /// The runtime's own histograms of stops.
    Stops,
}

/// Why a group is left out, bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// This release's runtime does not keep it.
    NotInRelease,
    /// No place is proven for one of its fields in this release.
    UnknownLayout,
    /// A global variable was not found.
    NoGlobal,
    /// One was found, but what the process has there cannot be it.
    Unconfirmed,
    /// The process has more threads than are followed at each sample.
    TooManyThreads,
}

/// A group of figures that is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StateGap {
    /// Which.
    pub figure: StateFigure,
    /// Why, as one bounded word.
    pub reason: GapReason,
    /// Why, for people.
    pub detail: String,
}

/// Which of the globals that a binary may lack were found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// `runtime.allm`.
    pub(crate) allm: bool,
    /// `work.cpuStats`.
    pub(crate) cpu_stats: bool,
}

/// What a release lacks that only later ones have, and from which on.
fn later(arch: Arch, what: &str, field: &str) -> String {
    match LayoutTable::get().since(field, arch) {
        Some(first) => format!("{what} from go1.{} on", first.minor),
        None => format!("no release is known to have {field}"),
    }
}

/// What cannot be had of a release in a binary with these globals, known before
/// anything is read.
pub(crate) fn lacking(layout: &Layout, found: Found) -> Vec<StateGap> {
    let since = |what: &str, field: &str| later(layout.arch, what, field);
    let mut gaps = Vec::new();
    let mut gap = |figure, reason, detail: &str| {
        gaps.push(StateGap {
            figure,
            reason,
            detail: format!("go{}: {detail}", layout.version),
        });
    };
    let threads = match (layout.tells_threads(), found.allm) {
        (true, true) => None,
        (false, _) => Some((
            GapReason::UnknownLayout,
            "the place of m.alllink is not known",
        )),
        (true, false) => Some((GapReason::NoGlobal, "runtime.allm was not found")),
    };
    if let (Some((reason, detail)), None) = (threads, layout.sched.goroutines_created) {
        gap(StateFigure::GoroutinesCreated, reason, detail);
    }
    if let Some((reason, detail)) = threads {
        gap(StateFigure::GoroutineStates, reason, detail);
    }
    match (layout.sched.mutex_wait, layout.sched.lock_wait) {
        (None, _) => gap(
            StateFigure::MutexWait,
            GapReason::NotInRelease,
            &since("kept", "schedt.totalMutexWaitTime"),
        ),
        (Some(_), Some(_)) => {
            if let Some((reason, detail)) = threads {
                gap(StateFigure::MutexWait, reason, detail);
            } else if layout.m.lock_wait.is_none() {
                let detail = "the place of m.mLockProfile is not known";
                gap(StateFigure::MutexWait, GapReason::UnknownLayout, detail);
            }
        }
        (Some(_), None) => {}
    }
    if layout.controller.memory_limit.is_none() {
        gap(
            StateFigure::MemoryLimit,
            GapReason::NotInRelease,
            &since("there is one", "gcControllerState.memoryLimit"),
        );
    }
    if layout.heap_stats.is_none() {
        let detail = "the place of memstats.heapStats is not known";
        gap(StateFigure::Allocation, GapReason::UnknownLayout, detail);
    }
    if layout.cpu_stats.is_none() {
        gap(
            StateFigure::CollectorCpu,
            GapReason::NotInRelease,
            &since("kept", "cpuStats.TotalTime"),
        );
    } else if !found.cpu_stats {
        gap(
            StateFigure::CollectorCpu,
            GapReason::NoGlobal,
            "work.cpuStats was not found",
        );
    }
    if layout.sched.stopped_gc.is_none() {
        gap(
            StateFigure::Stops,
            GapReason::NotInRelease,
            &since("kept", "schedt.stwTotalTimeGC"),
        );
    }
    gaps
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::{Found, GapReason, StateFigure, lacking};
    use crate::release::{Arch, GoVersion, Layout};

    /// What the first patch of a minor release does not keep.
    fn not_kept(minor: u16, arch: Arch) -> Vec<(StateFigure, String)> {
        let layout = Layout::of(GoVersion { minor, patch: 0 }, arch).unwrap();
        let all = Found {
            allm: true,
            cpu_stats: true,
        };
        let gaps = lacking(&layout, all).into_iter();
        gaps.filter(|gap| gap.reason == GapReason::NotInRelease)
            .map(|gap| (gap.figure, gap.detail))
            .collect()
    }

    #[test]
    fn each_release_says_what_it_does_not_keep_and_which_does() {
        let since = [
            (StateFigure::MutexWait, 20, "kept from go1.20 on"),
            (StateFigure::MemoryLimit, 19, "there is one from go1.19 on"),
            (StateFigure::CollectorCpu, 20, "kept from go1.20 on"),
            (StateFigure::Stops, 22, "kept from go1.22 on"),
        ];
        for minor in GoVersion::OLDEST_MINOR..=GoVersion::NEWEST_MINOR {
            let lacks = since.into_iter().filter(|(_, first, _)| minor < *first);
            let said =
                lacks.map(|(figure, _, detail)| (figure, format!("go1.{minor}.0: {detail}")));
            let said: Vec<_> = said.collect();
            for arch in Arch::ALL {
                assert_eq!(not_kept(minor, arch), said, "{arch:?}");
            }
        }
    }
}
