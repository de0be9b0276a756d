//! Whether what a process's memory says can be true: by what probes counted, and by
//! what a CPU can do. The policy, without clocks or kernels of its own.
//!
//! The two planes are never read at one instant, so a busy process may show a small
//! difference in any sample. It is evidence where it is larger than what can be
//! under way, and stays while the process goes on, or is still there once nothing
//! runs. What no machine can do is evidence at once.

use std::time::Duration;

use super::observation::{Differences, Missing};
use crate::{
    gobinary::{Figure, Reason},
    runtime::StateFigures,
};

/// So many samples in a row, between which the process did something.
const IN_A_ROW: u32 = 5;
/// After so many that agree it is believed again.
const UNTIL_BELIEVED: u32 = 10;

/// What may be under way between the two planes, and of what is known a part: probes
/// may miss a hit in a million, and that is no wrong layout.
const GOROUTINES: u64 = 1024;
/// A P takes 16 ids at once.
const IDS: u64 = 16 * GOROUTINES;
const CYCLES: u64 = 2;
const PAUSES_NS: u64 = 100_000_000;
const PART: u64 = 100;

/// Goroutines that a CPU creates in a second at most: a fifth of what Go takes for one.
const CREATED_A_SECOND: u64 = 50_000_000;
/// Collections in a second at most: each stops the world twice.
const CYCLES_A_SECOND: u64 = 100_000;
/// A process may be older than its start tells: one that was checkpointed.
const OLDER: Duration = Duration::from_mins(1);

/// What contradicts what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contradiction {
    /// Goroutines created, or their ids, as memory has them less as probes counted them.
    Goroutines(i64),
    /// Collections, likewise.
    Cycles(i64),
    /// Nanoseconds of pauses, likewise.
    Pauses(i64),
    /// More goroutines created than the machine can.
    TooFast(u64),
    /// More collections.
    TooOften(u64),
    /// Longer pauses than the process is old.
    TooLong(u64),
}

impl Contradiction {
    /// Found in a sample of a process of that age, on a machine of so many CPUs.
    pub(super) fn find(
        differences: &Differences,
        state: &StateFigures,
        age: Duration,
        cpus: u64,
    ) -> Option<Self> {
        let seconds = (age + OLDER).as_secs();
        let gc = &state.collections;
        let created = state.goroutines.created.unwrap_or(0);
        if created > seconds.saturating_mul(cpus * CREATED_A_SECOND) {
            return Some(Self::TooFast(created));
        }
        if gc.cycles > seconds.saturating_mul(CYCLES_A_SECOND) {
            return Some(Self::TooOften(gc.cycles));
        }
        if u128::from(gc.pause_total_ns) > (age + OLDER).as_nanos() {
            return Some(Self::TooLong(gc.pause_total_ns));
        }
        let ids = state.goroutines.ids.unwrap_or(0);
        let compared = [
            (
                differences.created,
                created,
                GOROUTINES,
                Self::Goroutines as fn(i64) -> Self,
            ),
            (differences.ids, ids, IDS, Self::Goroutines),
            (differences.cycles, gc.cycles, CYCLES, Self::Cycles),
            (
                differences.pause_total_ns,
                gc.pause_total_ns,
                PAUSES_NS,
                Self::Pauses,
            ),
        ];
        compared
            .into_iter()
            .find_map(|(difference, value, under_way, of)| {
                let difference = difference?;
                let (apart, counted) = (
                    difference.unsigned_abs(),
                    value.saturating_add_signed(difference.saturating_neg()),
                );
                (apart > under_way + value.min(counted) / PART).then(|| of(difference))
            })
    }

    fn is_impossible(self) -> bool {
        matches!(
            self,
            Self::TooFast(_) | Self::TooOften(_) | Self::TooLong(_)
        )
    }

    /// Whether a figure that probes count is in question too.
    fn concerns(self, figure: Figure) -> bool {
        match self {
            Self::Goroutines(_) | Self::TooFast(_) => matches!(
                figure,
                Figure::Goroutines | Figure::GoroutinesCreated | Figure::GoroutinesExited
            ),
            Self::Cycles(_) | Self::Pauses(_) | Self::TooOften(_) | Self::TooLong(_) => {
                matches!(figure, Figure::GcCycles | Figure::GcPauses)
            }
        }
    }

    fn missing(self) -> Missing {
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
        Missing {
            reason: Reason::PlanesDisagree,
            detail: format!("{detail}; which is right is not known"),
        }
    }
}

/// What one process's samples say against its figures.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Doubt {
    /// Of the samples since the last that agreed.
    last: Option<Contradiction>,
    against: u32,
    agreeing: u32,
    found: Option<Contradiction>,
}

impl Doubt {
    /// A sample, of a process that did something since the one before. Whether its
    /// figures are withheld from here on, or no longer.
    pub(super) fn sampled(&mut self, contradiction: Option<Contradiction>) -> bool {
        self.last = contradiction;
        if let Some(contradiction) = contradiction {
            self.agreeing = 0;
            self.against += 1;
            return (self.against >= IN_A_ROW || contradiction.is_impossible())
                && self.settle(contradiction);
        }
        self.against = 0;
        self.agreeing += 1;
        self.agreeing >= UNTIL_BELIEVED && self.found.take().is_some()
    }

    /// Nothing ran since the last sample, and nothing is under way.
    pub(super) fn stood_still(&mut self) -> bool {
        self.last.is_some_and(|last| self.settle(last))
    }

    fn settle(&mut self, contradiction: Contradiction) -> bool {
        let news = self.found.is_none();
        self.found.get_or_insert(contradiction);
        news
    }

    /// Whether what memory says is not believed.
    pub(super) fn is_settled(&self) -> bool {
        self.found.is_some()
    }

    /// Why a figure is withheld: all that memory says, and what probes count of the same.
    pub(super) fn missing(&self, figure: Figure) -> Option<Missing> {
        let found = self.found?;
        (!Figure::EVENTS.contains(&figure) || found.concerns(figure)).then(|| found.missing())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Contradiction, Doubt, IN_A_ROW, UNTIL_BELIEVED};
    use crate::{
        gobinary::{Figure, Reason},
        node::Differences,
        runtime::StateFigures,
    };

    const DAY: Duration = Duration::from_hours(24);

    fn state(created: u64, cycles: u64, pauses: u64) -> StateFigures {
        let mut state = StateFigures::default();
        state.goroutines.created = Some(created);
        state.collections.cycles = cycles;
        state.collections.pause_total_ns = pauses;
        state
    }

    fn created(apart: i64) -> Differences {
        Differences {
            created: Some(apart),
            ..Differences::default()
        }
    }

    #[test]
    fn what_is_under_way_is_no_contradiction() {
        let find = |differences: &Differences, created| {
            Contradiction::find(differences, &state(created, 0, 0), DAY, 2)
        };
        for (apart, of, is_one) in [
            (3, 100, false),
            (-1024, 2000, false),
            (1500, 2000, true),
            (-1500, 2000, true),
            // A hundredth of what both know.
            (9_000, 1_009_000, false),
            (20_000, 1_020_000, true),
            // What the state alone has is no measure.
            (1_000_000_000, 1_000_000_100, true),
            (i64::MIN, 5, true),
        ] {
            assert_eq!(
                find(&created(apart), of).is_some(),
                is_one,
                "{apart} of {of}"
            );
        }
        assert_eq!(find(&Differences::default(), 5), None);
        let cycles = |apart| Differences {
            cycles: Some(apart),
            ..Differences::default()
        };
        assert_eq!(find(&cycles(1), 5), None);
        assert_eq!(find(&cycles(-3), 5), Some(Contradiction::Cycles(-3)));
    }

    #[test]
    fn what_no_machine_can_do_is_no_figure() {
        let find = |state: &StateFigures, age| {
            Contradiction::find(&Differences::default(), state, Duration::from_secs(age), 2)
        };
        // As fast as Go can on two CPUs, for a minute.
        assert_eq!(
            find(&state(2 * 60 * 6_000_000, 500_000, 9_000_000_000), 60),
            None
        );
        let read_elsewhere = state(36_000_000_000_000, 3, 1000);
        assert!(find(&read_elsewhere, 10).is_some());
        assert!(find(&state(10, 50_000_000, 1000), 10).is_some());
        assert!(find(&state(10, 3, 90_000_000_000), 10).is_some());
        assert_eq!(find(&state(10, 3, 50_000_000_000), 10), None);
    }

    #[test]
    fn one_sample_is_no_proof_and_five_are() {
        let mut doubt = Doubt::default();
        let apart = Some(Contradiction::Goroutines(5000));
        for _ in 0..3 {
            for _ in 1..IN_A_ROW {
                assert!(!doubt.sampled(apart));
            }
            assert!(!doubt.sampled(None), "it was under way");
        }
        for n in 1..=IN_A_ROW {
            assert_eq!(doubt.sampled(apart), n == IN_A_ROW, "{n}");
        }
        assert!(!doubt.sampled(apart), "no news");
        let reason = |figure| doubt.missing(figure).map(|missing| missing.reason);
        for (figure, withheld) in [
            (Figure::State, true),
            (Figure::StateAllocation, true),
            (Figure::GoroutinesCreated, true),
            (Figure::GcCycles, false),
            (Figure::OtherStops, false),
        ] {
            assert_eq!(reason(figure), withheld.then_some(Reason::PlanesDisagree));
        }
        for n in 1..=UNTIL_BELIEVED {
            assert_eq!(doubt.sampled(None), n == UNTIL_BELIEVED, "{n}");
        }
        assert!(!doubt.is_settled());
    }

    #[test]
    fn what_is_still_apart_when_nothing_runs_is_proof() {
        let mut doubt = Doubt::default();
        assert!(!doubt.stood_still());
        assert!(!doubt.sampled(Some(Contradiction::Cycles(7))));
        assert!(doubt.stood_still());
        assert!(!doubt.stood_still(), "no news");
        let mut doubt = Doubt::default();
        assert!(!doubt.sampled(Some(Contradiction::Cycles(7))));
        assert!(!doubt.sampled(None));
        assert!(!doubt.stood_still());
    }

    #[test]
    fn the_impossible_needs_no_second_sample() {
        let mut doubt = Doubt::default();
        assert!(doubt.sampled(Some(Contradiction::TooFast(1 << 50))));
    }
}
