//! What is known of one process at one instant.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use observer_ebpf::{GcFigures, GoroutineFigures, ProbeGroup, family::ProcessCounts};
use observer_go::{
    binary::{Binary, FigureGroup, Reason},
    discover::Process,
    runtime::StateFigures,
};
use observer_probe::Spans;
use serde::Serialize;

/// What is known of one Go process.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The process.
    pub process: Arc<Process>,
    /// What it runs; where that is not Go, the library that is.
    pub binary: Arc<Binary>,
    /// The path of that library as the process sees it.
    pub library: Option<Arc<Path>>,
    /// What is observed and what is not.
    pub coverage: Coverage,
    /// Its figures.
    pub figures: Figures,
    /// Which probes stand.
    pub probes: ProbeGroups,
    /// When it ended, for one that has.
    pub ended: Option<SystemTime>,
    /// Whether it had lived for less than [`BRIEF`] by then: there may be any number of
    /// such, so they have no series of their own.
    pub brief: bool,
}

/// Processes that lived for as long, and are shown for no longer after their end, all
/// lived at the same time: they are no more than the machine can run at once.
pub(super) const BRIEF: Duration = Duration::from_secs(30);

/// Which groups of probes stand on a process's file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProbeGroups(u64);

impl ProbeGroups {
    /// Whether a group is among them.
    pub const fn has(self, group: ProbeGroup) -> bool {
        group.is_in(self.0)
    }

    /// Those that are in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl FromIterator<ProbeGroup> for ProbeGroups {
    fn from_iter<I: IntoIterator<Item = ProbeGroup>>(groups: I) -> Self {
        Self(groups.into_iter().fold(0, |set, group| set | group.bit()))
    }
}

/// For each group of figures, why it is left out; `None` when it is exact.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Coverage(pub Arc<BTreeMap<FigureGroup, Option<CoverageGap>>>);

/// Why a group of figures is left out.
#[derive(Clone, Debug, Serialize)]
pub struct CoverageGap {
    /// Bounded, for a label.
    pub reason: Reason,
    /// For people.
    pub detail: String,
}

/// Figures by where they come from.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// From probes.
    pub events: EventFigures,
    /// From memory; `None` where the process was never sampled. Whether it
    /// still holds says [`FigureGroup::State`] in the coverage.
    pub state: Option<Arc<StateSample>>,
    /// How far the two are apart where both know a figure.
    pub differences: Differences,
}

/// The runtime's state when it was last found changed.
#[derive(Clone, Debug)]
pub struct StateSample {
    /// When it was read. A later sample that found the same keeps this one.
    pub at: SystemTime,
    /// What was read. Of a process that has ended, the totals have in them
    /// what probes counted after the last sample.
    pub figures: Arc<StateFigures>,
}

/// State less events, of a process whose probes saw it from its start. `None`
/// where the two are not comparable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Goroutines created, while each is counted.
    pub created: Option<i64>,
    /// Goroutine ids handed out, by batches; of other processes too, from a
    /// moment on at which the two were held against each other.
    pub ids: Option<i64>,
    /// Collections.
    pub cycles: Option<i64>,
    /// Nanoseconds of pauses.
    pub pause_total_ns: Option<i64>,
}

impl Differences {
    /// Whether the two are apart in any of what is compared at each sample.
    pub(super) fn any(self) -> bool {
        let all = [self.created, self.cycles, self.pause_total_ns];
        all.into_iter().flatten().any(|apart| apart != 0)
    }
}

/// Figures counted by probes since they were attached, or since the process
/// began where [`Self::from_start`] says so.
#[derive(Clone, Debug, Default)]
pub struct EventFigures {
    /// Whether nothing came before the probes, and no goroutine while those
    /// on every goroutine were off.
    pub from_start: bool,
    /// Whether no collection and no stop came before the probes.
    pub collections_from_start: bool,
    /// Summed over CPUs.
    pub goroutines: GoroutineFigures,
    /// Collector and stops; `None` until the first.
    pub gc: Option<Arc<GcFigures>>,
    /// Families that are declared as spans.
    pub spans: Arc<Spans>,
}

impl ProcessCounts for EventFigures {
    /// Adds what was counted of another process that has ended.
    fn add(&mut self, more: &Self) {
        self.goroutines.add(&more.goroutines);
        match (&mut self.gc, &more.gc) {
            (Some(gc), Some(more)) => Arc::make_mut(gc).add(more),
            (None, Some(more)) => self.gc = Some(Arc::clone(more)),
            (_, None) => {}
        }
        if !more.spans.is_empty() {
            let spans = Arc::make_mut(&mut self.spans);
            for (label, more) in more.spans.iter() {
                spans.entry(*label).or_default().add(more);
            }
        }
    }

    fn hits(&self) -> u64 {
        let gc = self.gc.as_ref().map_or(0, |gc| gc.hits);
        let spans: u64 = self.spans.values().map(ProcessCounts::hits).sum();
        self.goroutines
            .hits()
            .saturating_add(gc)
            .saturating_add(spans)
    }
}

impl EventFigures {
    /// Live goroutines as `runtime.NumGoroutine` counts them: the runtime's
    /// own left out. Known only where nothing came before the probes.
    pub fn live(&self) -> Option<u64> {
        let g = &self.goroutines;
        let users = g.created.checked_sub(g.system_created)?;
        let users_gone = g.exited.checked_sub(g.system_exited)?;
        // Per-CPU copies are not read at one instant, so an exit may be seen
        // before its creation; a count below zero is no count.
        if self.from_start {
            users.checked_sub(users_gone)
        } else {
            None
        }
    }
}
