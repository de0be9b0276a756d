//! Whether what a process's memory says can be true: by what probes counted, and by
//! what a CPU can do. The policy, without clocks or kernels of its own.
//!
//! The two planes are never read at one instant, so a busy process may show a small
//! difference in any sample. It is evidence where it is larger than what can be
//! under way, and stays while the process goes on. Once nothing runs, nothing is under
//! way: what is still apart then is evidence, however small. What no machine can do is
//! evidence at once. Each figure is doubted by itself.

use std::time::Duration;

use observer_go::{
    binary::{FigureGroup, Reason},
    runtime::StateFigures,
};

use super::observation::{CoverageGap, Differences};

/// So many samples in a row, between which the process did something.
const IN_A_ROW: u32 = 5;
/// So many looks in a row at a process in which nothing runs.
const AT_REST: u32 = 2;
/// After so many that agree it is believed again.
const UNTIL_BELIEVED: u32 = 10;

/// Goroutine ids that a P takes at once.
const BATCH: u64 = 16;

/// Goroutines that a CPU creates in a second at most: a fifth of what Go takes for one.
const CREATED_A_SECOND: u64 = 50_000_000;
/// Collections in a second at most: each stops the world twice.
const CYCLES_A_SECOND: u64 = 100_000;
/// A process may be older than its start tells: one that was checkpointed.
const OLDER: Duration = Duration::from_mins(1);

/// How far the planes may be apart in a figure: by this, and by what is known to both
/// divided by so much.
#[derive(Clone, Copy)]
struct Slack {
    apart: u64,
    part: Option<u64>,
}

impl Slack {
    const NONE: Self = Self {
        apart: 0,
        part: None,
    };

    /// What may be under way in a process that goes on.
    const BUSY: [Self; FIGURES] = [
        Self::busy(1024),
        Self::busy(BATCH * 1024),
        Self::busy(2),
        Self::busy(100_000_000),
    ];

    const fn busy(apart: u64) -> Self {
        Self {
            apart,
            part: Some(100),
        }
    }

    /// Where nothing runs nothing is under way. Probes may miss a hit in a million, and
    /// that is no wrong layout: it shows in goroutines, of which there are so many.
    /// Where `whole` is false, probes could not measure every pause.
    fn at_rest(cpus: u64, whole: bool) -> [Self; FIGURES] {
        let goroutines = |apart| Self {
            apart,
            part: Some(100_000),
        };
        let pauses = if whole {
            Self::NONE
        } else {
            Self::BUSY[PAUSES]
        };
        [
            goroutines(cpus),
            goroutines(BATCH * cpus),
            Self::NONE,
            pauses,
        ]
    }

    fn of(self, value: u64) -> u64 {
        self.apart + self.part.map_or(0, |part| value / part)
    }
}

/// What is doubted by itself: goroutines created, their ids, collections, and
/// nanoseconds of pauses.
const FIGURES: usize = 4;
const CREATED: usize = 0;
const IDS: usize = 1;
const CYCLES: usize = 2;
const PAUSES: usize = 3;

/// What contradicts what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contradiction {
    /// Goroutines created, or their ids, as memory has them less as probes counted them.
    Goroutines(i64),
    /// Collections, likewise.
    Cycles(i64),
    /// Nanoseconds of pauses, likewise.
    Pauses(i64),
    /// More goroutines alive than were ever created.
    MoreLive { live: u64, created: u64 },
    /// More goroutines created than the machine can.
    TooFast(u64),
    /// More collections.
    TooOften(u64),
    /// Longer pauses than the process is old.
    TooLong(u64),
}

impl Contradiction {
    fn is_impossible(self) -> bool {
        matches!(
            self,
            Self::TooFast(_) | Self::TooOften(_) | Self::TooLong(_)
        )
    }

    /// Whether only probes can tell that it is no more.
    fn is_with_probes(self) -> bool {
        matches!(
            self,
            Self::Goroutines(_) | Self::Cycles(_) | Self::Pauses(_)
        )
    }

    /// Whether a figure that probes count is in question too.
    fn concerns(self, figure: FigureGroup) -> bool {
        match self {
            Self::Goroutines(_) | Self::MoreLive { .. } | Self::TooFast(_) => matches!(
                figure,
                FigureGroup::Goroutines
                    | FigureGroup::GoroutinesCreated
                    | FigureGroup::GoroutinesExited
            ),
            Self::Cycles(_) | Self::Pauses(_) | Self::TooOften(_) | Self::TooLong(_) => {
                matches!(figure, FigureGroup::GcCycles | FigureGroup::GcPauses)
            }
        }
    }

    fn missing(self) -> CoverageGap {
        let detail = match self {
            Self::Goroutines(apart) => {
                format!("the process's memory has {apart} goroutines more than its probes counted")
            }
            Self::Cycles(apart) => {
                format!("the process's memory has {apart} collections more than its probes counted")
            }
            Self::Pauses(apart) => format!(
                "the process's memory has {apart} ns of pauses more than its probes counted"
            ),
            Self::MoreLive { live, created } => format!(
                "the process's memory has {live} live goroutines, more than the {created} ever created"
            ),
            Self::TooFast(created) => format!(
                "the process's memory has {created} goroutines created, more than this machine can since it began"
            ),
            Self::TooOften(cycles) => format!(
                "the process's memory has {cycles} collections, more than this machine can since it began"
            ),
            Self::TooLong(ns) => {
                format!("the process's memory has {ns} ns of pauses, more than it is old")
            }
        };
        CoverageGap {
            reason: Reason::PlanesDisagree,
            detail: format!("{detail}; which is right is not known"),
        }
    }
}

/// What a sample says of one figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum FigureVerdict {
    /// There is nothing to hold it against.
    #[default]
    Unknown,
    /// It is as probes counted it.
    Agrees,
    /// It is apart by no more than what may be under way.
    UnderWay,
    Contradicts(Contradiction),
}

/// What a sample says of each figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FigureVerdicts([FigureVerdict; FIGURES]);

impl FigureVerdicts {
    /// Of a process that goes on, of that age, on a machine of so many CPUs.
    pub(super) fn busy(
        differences: &Differences,
        state: &StateFigures,
        age: Duration,
        cpus: u64,
    ) -> Self {
        let mut found = Self::compared(differences, state, Slack::BUSY);
        if more_live(state).is_some() && !matches!(found.0[CREATED], FigureVerdict::Contradicts(_))
        {
            // One is there before it is counted.
            found.0[CREATED] = FigureVerdict::UnderWay;
        }
        let seconds = (age + OLDER).as_secs();
        let gc = &state.collections;
        let created = state.goroutines.created.unwrap_or(0);
        if created > seconds.saturating_mul(cpus * CREATED_A_SECOND) {
            found.0[CREATED] = FigureVerdict::Contradicts(Contradiction::TooFast(created));
        }
        if gc.cycles > seconds.saturating_mul(CYCLES_A_SECOND) {
            found.0[CYCLES] = FigureVerdict::Contradicts(Contradiction::TooOften(gc.cycles));
        }
        if u128::from(gc.pause_total_ns) > (age + OLDER).as_nanos() {
            found.0[PAUSES] = FigureVerdict::Contradicts(Contradiction::TooLong(gc.pause_total_ns));
        }
        found
    }

    /// Of one in which nothing runs, nor has since both planes were read. `whole`:
    /// probes have measured every pause.
    pub(super) fn at_rest(
        differences: &Differences,
        state: &StateFigures,
        whole: bool,
        cpus: u64,
    ) -> Self {
        let mut found = Self::compared(differences, state, Slack::at_rest(cpus, whole));
        if let Some(more) = more_live(state) {
            found.0[CREATED] = FigureVerdict::Contradicts(more);
        }
        found
    }

    fn compared(differences: &Differences, state: &StateFigures, slack: [Slack; FIGURES]) -> Self {
        let goroutines = &state.goroutines;
        let gc = &state.collections;
        let mut found = Self::default();
        for (figure, difference, value, of) in [
            (
                CREATED,
                differences.created,
                goroutines.created.unwrap_or(0),
                Contradiction::Goroutines as fn(i64) -> Contradiction,
            ),
            (
                IDS,
                differences.ids,
                goroutines.ids.unwrap_or(0),
                Contradiction::Goroutines,
            ),
            (CYCLES, differences.cycles, gc.cycles, Contradiction::Cycles),
            (
                PAUSES,
                differences.pause_total_ns,
                gc.pause_total_ns,
                Contradiction::Pauses,
            ),
        ] {
            let Some(difference) = difference else {
                continue;
            };
            let (apart, counted) = (
                difference.unsigned_abs(),
                value.saturating_add_signed(difference.saturating_neg()),
            );
            found.0[figure] = if apart == 0 {
                FigureVerdict::Agrees
            } else if apart <= slack[figure].of(value.min(counted)) {
                FigureVerdict::UnderWay
            } else {
                FigureVerdict::Contradicts(of(difference))
            };
        }
        found
    }
}

/// Whether more goroutines are alive than were ever created; those of C's threads are
/// alive without having been created, and are as many as there are such threads.
fn more_live(state: &StateFigures) -> Option<Contradiction> {
    let (goroutines, scheduler) = (&state.goroutines, &state.scheduler);
    let of_c = scheduler.threads.saturating_sub(scheduler.go_threads?);
    let (live, created) = (goroutines.live, goroutines.created?);
    // Whoever asks is running, so that one is told of at least.
    (live > created.saturating_add(of_c).max(1))
        .then_some(Contradiction::MoreLive { live, created })
}

/// What one process's samples say against one of its figures.
#[derive(Clone, Copy, Debug, Default)]
struct OfOne {
    against: u32,
    agreeing: u32,
    resting: u32,
    found: Option<Contradiction>,
}

impl OfOne {
    fn sampled(&mut self, verdict: FigureVerdict) -> bool {
        self.resting = 0;
        if let FigureVerdict::Contradicts(contradiction) = verdict {
            self.agreeing = 0;
            self.against = self.against.saturating_add(1);
            return (self.against >= IN_A_ROW || contradiction.is_impossible())
                && self.settle(contradiction);
        }
        self.against = 0;
        // What is off by a little is so in every sample of a busy process, so a little
        // is no agreement; nor is that there is nothing to compare any more.
        let agrees = match verdict {
            FigureVerdict::Agrees => true,
            FigureVerdict::Unknown => !self.found.is_some_and(Contradiction::is_with_probes),
            FigureVerdict::UnderWay | FigureVerdict::Contradicts(_) => false,
        };
        self.agreeing = self.agreeing.saturating_add(u32::from(agrees));
        self.agreeing >= UNTIL_BELIEVED && self.found.take().is_some()
    }

    fn rests(&mut self, verdict: FigureVerdict) -> bool {
        let FigureVerdict::Contradicts(contradiction) = verdict else {
            self.resting = 0;
            return false;
        };
        self.resting = self.resting.saturating_add(1);
        self.resting >= AT_REST && self.settle(contradiction)
    }

    fn settle(&mut self, contradiction: Contradiction) -> bool {
        self.agreeing = 0;
        self.found.replace(contradiction).is_none()
    }
}

/// What one process's samples say against its figures.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plausibility([OfOne; FIGURES]);

impl Plausibility {
    /// A sample, of a process that did something since the one before. Whether some
    /// figure is withheld from here on, or no longer.
    pub(super) fn sampled(&mut self, verdicts: FigureVerdicts) -> bool {
        self.each(verdicts, OfOne::sampled)
    }

    /// Nothing ran since the last sample, and nothing is under way. The same.
    pub(super) fn stood_still(&mut self, verdicts: FigureVerdicts) -> bool {
        self.each(verdicts, OfOne::rests)
    }

    fn each(
        &mut self,
        verdicts: FigureVerdicts,
        tell: fn(&mut OfOne, FigureVerdict) -> bool,
    ) -> bool {
        let mut news = false;
        for (of_one, verdict) in self.0.iter_mut().zip(verdicts.0) {
            news |= tell(of_one, verdict);
        }
        news
    }

    fn found(&self) -> impl Iterator<Item = Contradiction> {
        self.0.iter().filter_map(|of_one| of_one.found)
    }

    /// Whether what memory says is not believed.
    pub(super) fn is_settled(&self) -> bool {
        self.found().next().is_some()
    }

    /// Why a figure is withheld: all that memory says, and what probes count of the same.
    pub(super) fn missing(&self, figure: FigureGroup) -> Option<CoverageGap> {
        let by_events = FigureGroup::EVENTS.contains(&figure);
        let found = self
            .found()
            .find(|found| !by_events || found.concerns(figure));
        found.map(Contradiction::missing)
    }
}

#[cfg(test)]
mod tests;
