//! What is a contradiction, and when it is believed.

use std::time::Duration;

use observer_go::{
    binary::{FigureGroup, Reason},
    runtime::StateFigures,
};

use super::{
    AT_REST, CREATED, CYCLES, Contradiction, FIGURES, FigureVerdict, FigureVerdicts, IDS, IN_A_ROW,
    PAUSES, Plausibility, UNTIL_BELIEVED,
};
use crate::node::observation::Differences;

const DAY: Duration = Duration::from_hours(24);
const CPUS: u64 = 2;

fn state(created: u64, cycles: u64, pauses: u64) -> StateFigures {
    let mut state = StateFigures::default();
    state.goroutines.created = Some(created);
    state.goroutines.ids = Some(created);
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

fn cycles(apart: i64) -> Differences {
    Differences {
        cycles: Some(apart),
        ..Differences::default()
    }
}

/// What a sample says of one figure, where it says nothing of the others.
fn only(figure: usize, verdict: FigureVerdict) -> FigureVerdicts {
    let mut verdicts = [FigureVerdict::Unknown; FIGURES];
    verdicts[figure] = verdict;
    FigureVerdicts(verdicts)
}

fn against(contradiction: Contradiction) -> FigureVerdicts {
    let figure = match contradiction {
        Contradiction::Cycles(_) | Contradiction::TooOften(_) => CYCLES,
        Contradiction::Pauses(_) | Contradiction::TooLong(_) => PAUSES,
        _ => CREATED,
    };
    only(figure, FigureVerdict::Contradicts(contradiction))
}

/// Every figure is as probes counted it.
const AGREED: FigureVerdicts = FigureVerdicts([FigureVerdict::Agrees; FIGURES]);

fn is_contradicted(verdicts: FigureVerdicts, figure: usize) -> bool {
    matches!(verdicts.0[figure], FigureVerdict::Contradicts(_))
}

#[test]
fn what_is_under_way_is_no_contradiction() {
    let find = |differences: &Differences, created| {
        FigureVerdicts::busy(differences, &state(created, 0, 0), DAY, CPUS)
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
        let found = find(&created(apart), of);
        assert_eq!(is_contradicted(found, CREATED), is_one, "{apart} of {of}");
    }
    assert_eq!(find(&Differences::default(), 5), FigureVerdicts::default());
    assert_eq!(find(&created(0), 5), only(CREATED, FigureVerdict::Agrees));
    assert_eq!(find(&cycles(1), 5), only(CYCLES, FigureVerdict::UnderWay));
    let off = against(Contradiction::Cycles(-3));
    assert_eq!(find(&cycles(-3), 5), off);
}

#[test]
fn where_nothing_runs_nothing_is_under_way() {
    let find = |differences: &Differences, state: &StateFigures| {
        FigureVerdicts::at_rest(differences, state, true, CPUS)
    };
    let some = state(2_000, 7, 5_000);
    for apart in [-2, -1, 1, 2] {
        assert!(is_contradicted(find(&cycles(apart), &some), CYCLES));
        let pauses = Differences {
            pause_total_ns: Some(apart),
            ..Differences::default()
        };
        assert!(is_contradicted(find(&pauses, &some), PAUSES));
        // Not every pause was measured.
        let found = FigureVerdicts::at_rest(&pauses, &some, false, CPUS);
        assert!(!is_contradicted(found, PAUSES));
    }
    assert_eq!(find(&cycles(0), &some), only(CYCLES, FigureVerdict::Agrees));
    for (apart, of, is_one) in [
        (2, 2_000, false),
        (-2, 2_000, false),
        (3, 2_000, true),
        (-3, 2_000, true),
        (1_000, 2_000, true),
        // A hit in a hundred thousand may have been missed.
        (-12, 1_000_000, false),
        (-13, 1_000_000, true),
    ] {
        let found = find(&created(apart), &state(of, 0, 0));
        assert_eq!(is_contradicted(found, CREATED), is_one, "{apart} of {of}");
        let ids = Differences {
            ids: Some(16 * apart),
            ..Differences::default()
        };
        let found = find(&ids, &state(16 * of, 0, 0));
        assert_eq!(is_contradicted(found, IDS), is_one, "{apart} batches");
    }
}

#[test]
fn where_nothing_runs_no_more_live_than_were_created() {
    let with = |live: u64, of_c: u64| {
        let mut state = state(20, 0, 0);
        state.goroutines.live = live;
        state.scheduler.threads = 6 + of_c;
        state.scheduler.go_threads = Some(6);
        state
    };
    let at_rest = |state: &StateFigures| {
        let found = FigureVerdicts::at_rest(&Differences::default(), state, true, CPUS);
        is_contradicted(found, CREATED)
    };
    let cases: [(u64, u64, bool); 4] =
        [(20, 0, false), (21, 0, true), (23, 3, false), (24, 3, true)];
    for (live, of_c, is_one) in cases {
        assert_eq!(at_rest(&with(live, of_c)), is_one, "{live} and {of_c}");
        // While it goes on, one may be there before it is counted.
        let going = with(live, of_c);
        let found = FigureVerdicts::busy(&created(0), &going, DAY, CPUS);
        let verdict = if is_one {
            FigureVerdict::UnderWay
        } else {
            FigureVerdict::Agrees
        };
        assert_eq!(found.0[CREATED], verdict, "{live} and {of_c}");
    }
    // How many are of C is not known.
    let mut unknown = with(30, 0);
    unknown.scheduler.go_threads = None;
    assert!(!at_rest(&unknown));
    unknown = with(30, 0);
    unknown.goroutines.created = None;
    assert!(!at_rest(&unknown));
}

#[test]
fn what_no_machine_can_do_is_no_figure() {
    let find = |state: &StateFigures, age| {
        let age = Duration::from_secs(age);
        FigureVerdicts::busy(&Differences::default(), state, age, CPUS)
    };
    // As fast as Go can on two CPUs, for a minute.
    let fast = state(2 * 60 * 6_000_000, 500_000, 9_000_000_000);
    assert_eq!(find(&fast, 60), FigureVerdicts::default());
    let read_elsewhere = state(36_000_000_000_000, 3, 1000);
    assert!(is_contradicted(find(&read_elsewhere, 10), CREATED));
    assert!(is_contradicted(
        find(&state(10, 50_000_000, 1000), 10),
        CYCLES
    ));
    let long = find(&state(10, 3, 90_000_000_000), 10);
    assert!(is_contradicted(long, PAUSES));
    let good = find(&state(10, 3, 50_000_000_000), 10);
    assert_eq!(good, FigureVerdicts::default());
}

fn reason(plausibility: &Plausibility, figure: FigureGroup) -> Option<Reason> {
    plausibility.missing(figure).map(|missing| missing.reason)
}

#[test]
fn one_sample_is_no_proof_and_five_are() {
    let mut plausibility = Plausibility::default();
    let apart = against(Contradiction::Goroutines(5000));
    for _ in 0..3 {
        for _ in 1..IN_A_ROW {
            assert!(!plausibility.sampled(apart));
        }
        assert!(!plausibility.sampled(AGREED), "it was under way");
    }
    for n in 1..=IN_A_ROW {
        assert_eq!(plausibility.sampled(apart), n == IN_A_ROW, "{n}");
    }
    assert!(!plausibility.sampled(apart), "no news");
    for (figure, withheld) in [
        (FigureGroup::State, true),
        (FigureGroup::StateAllocation, true),
        (FigureGroup::GoroutinesCreated, true),
        (FigureGroup::GcCycles, false),
        (FigureGroup::OtherStops, false),
    ] {
        let expected = withheld.then_some(Reason::PlanesDisagree);
        assert_eq!(reason(&plausibility, figure), expected);
    }
    for n in 1..=UNTIL_BELIEVED {
        assert_eq!(plausibility.sampled(AGREED), n == UNTIL_BELIEVED, "{n}");
    }
    assert!(!plausibility.is_settled());
}

#[test]
fn each_figure_is_doubted_by_itself() {
    let mut plausibility = Plausibility::default();
    let mut both = against(Contradiction::Goroutines(5000));
    both.0[CYCLES] = FigureVerdict::Contradicts(Contradiction::Cycles(7));
    let goroutines = against(Contradiction::Goroutines(5000));
    for _ in 0..IN_A_ROW {
        plausibility.sampled(goroutines);
    }
    assert_eq!(reason(&plausibility, FigureGroup::GcCycles), None);
    // What is withheld already hides nothing that comes to it.
    for n in 1..=IN_A_ROW {
        assert_eq!(plausibility.sampled(both), n == IN_A_ROW, "{n}");
    }
    for figure in [
        FigureGroup::GoroutinesCreated,
        FigureGroup::GcCycles,
        FigureGroup::State,
    ] {
        assert_eq!(reason(&plausibility, figure), Some(Reason::PlanesDisagree));
    }
    let detail = |figure| plausibility.missing(figure).map(|missing| missing.detail);
    assert!(detail(FigureGroup::GcCycles).is_some_and(|it| it.contains("7 collections")));
    assert!(
        detail(FigureGroup::GoroutinesCreated).is_some_and(|it| it.contains("5000 goroutines"))
    );
    // Nor does one that is true again take the other along.
    let mut one = AGREED;
    one.0[CYCLES] = both.0[CYCLES];
    for n in 1..=UNTIL_BELIEVED {
        assert_eq!(plausibility.sampled(one), n == UNTIL_BELIEVED, "{n}");
    }
    assert_eq!(reason(&plausibility, FigureGroup::GoroutinesCreated), None);
    assert_eq!(
        reason(&plausibility, FigureGroup::GcCycles),
        Some(Reason::PlanesDisagree)
    );
    assert!(plausibility.is_settled());
}

#[test]
fn what_is_still_apart_when_nothing_runs_is_proof() {
    let off = against(Contradiction::Cycles(2));
    let mut plausibility = Plausibility::default();
    assert!(!plausibility.stood_still(AGREED));
    for n in 1..=AT_REST {
        assert_eq!(plausibility.stood_still(off), n == AT_REST, "{n}");
    }
    assert!(!plausibility.stood_still(off), "no news");
    let withheld = reason(&plausibility, FigureGroup::GcCycles);
    assert_eq!(withheld, Some(Reason::PlanesDisagree));

    let mut plausibility = Plausibility::default();
    for between in [Plausibility::sampled, Plausibility::stood_still] {
        for _ in 1..AT_REST {
            assert!(!plausibility.stood_still(off));
        }
        assert!(!between(&mut plausibility, AGREED), "it was no rest");
    }
    assert!(!plausibility.is_settled());
}

#[test]
fn what_is_off_by_a_little_is_not_believed_while_it_goes_on() {
    let mut plausibility = Plausibility::default();
    for _ in 0..AT_REST {
        plausibility.stood_still(against(Contradiction::Cycles(2)));
    }
    for _ in 0..3 * UNTIL_BELIEVED {
        assert!(!plausibility.sampled(only(CYCLES, FigureVerdict::UnderWay)));
        // The probes have left.
        assert!(!plausibility.sampled(FigureVerdicts::default()));
    }
    assert!(plausibility.is_settled());
    for n in 1..=UNTIL_BELIEVED {
        assert_eq!(plausibility.sampled(AGREED), n == UNTIL_BELIEVED, "{n}");
    }
}

#[test]
fn the_impossible_needs_no_second_sample() {
    let mut plausibility = Plausibility::default();
    assert!(plausibility.sampled(against(Contradiction::TooFast(1 << 50))));
    // Nor does it need probes to be believed again.
    for n in 1..=UNTIL_BELIEVED {
        let believed = plausibility.sampled(FigureVerdicts::default());
        assert_eq!(believed, n == UNTIL_BELIEVED, "{n}");
    }
}
