use std::time::{Duration, Instant};

use observer_ebpf::{ProbeGroup, ProcessKey};

use super::{Budget, Cost, Level, Load, Payer, at_once};

const KEY: ProcessKey = ProcessKey { tgid: 7, epoch: 1 };
const PROCESS: Payer = Payer::Process(KEY);
const GOROUTINES: u8 = ProbeGroup::EXACT.family();
const BATCH: Level = Level(1);
const EXACT: Level = Level(2);
const FILE: Load = Load {
    file: 1,
    family: GOROUTINES,
};
const STOPS: Load = Load {
    file: 1,
    family: ProbeGroup::RARE.family(),
};

fn after(began: Instant, seconds: f64) -> Instant {
    began + Duration::from_secs_f64(seconds)
}

/// That many seconds in probes on each goroutine, and on batches.
fn cost(exact: f64, batch: f64) -> Cost {
    Cost([batch * 1e9, exact * 1e9])
}

#[test]
fn one_window_above_is_a_burst_two_are_a_load() {
    let (mut budget, t) = (Budget::new(1.0), Instant::now());
    let mut spent =
        |at, seconds| budget.spent(after(t, at), PROCESS, GOROUTINES, cost(seconds, 0.0));
    assert_eq!(spent(0.0, 0.0), None);
    assert_eq!(spent(1.0, 0.02), None);
    assert_eq!(spent(2.0, 0.021), None);
    assert_eq!(spent(3.0, 0.041), None);
    let share = spent(4.0, 0.061).unwrap().share;
    assert!((share - 0.02).abs() < 1e-9);
}

#[test]
fn ten_times_the_budget_is_too_much_at_once() {
    let (mut budget, t) = (Budget::new(1.0), Instant::now());
    budget.spent(t, PROCESS, GOROUTINES, cost(0.0, 0.0));
    assert!(
        budget
            .spent(after(t, 1.0), PROCESS, GOROUTINES, cost(0.11, 0.0))
            .is_some()
    );
}

#[test]
fn a_load_is_found_within_three_seconds_whenever_it_begins() {
    for begin in 0..100_u8 {
        let begin = f64::from(begin) / 100.0;
        let (mut budget, t) = (Budget::new(1.0), Instant::now());
        let found = (0..5).find(|second| {
            // A sample may come a little early.
            let at = (f64::from(*second) - 0.05).max(0.0);
            let spent = (at - begin).max(0.0) * 0.0101;
            budget
                .spent(after(t, at), PROCESS, GOROUTINES, cost(spent, 0.0))
                .is_some()
        });
        let found = found.map(|second: i32| f64::from(second) - 0.05 - begin);
        assert!(found.is_some_and(|took| took <= 3.0), "{begin}: {found:?}");
    }
}

#[test]
fn as_much_goes_as_must() {
    for (exact, batch, within) in [
        (0.2, 0.009, BATCH),
        (0.5, 0.02, Level::NONE),
        (0.0, 0.2, Level::NONE),
    ] {
        let (mut budget, t) = (Budget::new(1.0), Instant::now());
        budget.spent(t, PROCESS, GOROUTINES, cost(0.0, 0.0));
        let over = budget.spent(after(t, 1.0), PROCESS, GOROUTINES, cost(exact, batch));
        assert_eq!(over.map(|over| over.within), Some(within));
    }
}

#[test]
fn what_ends_at_once_is_the_files() {
    let (mut budget, t) = (Budget::new(1.0), Instant::now());
    let key = |tgid| ProcessKey { tgid, epoch: 1 };
    for second in 0..3 {
        let now = after(t, f64::from(second));
        for tgid in 0..10 {
            budget.ended(now, key(second * 10 + tgid), FILE, cost(0.002, 0.000_1));
        }
        let over = budget.ended_over(now);
        assert_eq!(over.is_empty(), second < 2, "{second}: {over:?}");
    }
    // Of what it had paid while it lived no more is asked.
    budget.spent(after(t, 3.0), PROCESS, GOROUTINES, cost(5.0, 0.0));
    budget.ended(after(t, 3.5), KEY, FILE, cost(5.001, 0.0));
    assert!(budget.ended_over(after(t, 4.0)).is_empty());
    assert!(budget.ended_over(after(t, 5.0)).is_empty());
}

#[test]
fn short_intervals_are_put_together() {
    let (mut budget, t) = (Budget::new(1.0), Instant::now());
    budget.spent(t, PROCESS, GOROUTINES, cost(0.0, 0.0));
    // Half a window's budget ten times over, within a tenth of a second.
    for at in [0.1, 0.5, 1.0, 2.0] {
        let over = budget.spent(after(t, at), PROCESS, GOROUTINES, cost(0.05, 0.0));
        assert_eq!(over, None, "{at}");
    }
}

#[test]
fn an_idle_process_is_never_over() {
    let (mut budget, t) = (Budget::new(1.0), Instant::now());
    for second in 0..100 {
        let now = after(t, f64::from(second));
        assert_eq!(budget.spent(now, PROCESS, GOROUTINES, cost(5.0, 1.0)), None);
    }
}

#[test]
fn absence_doubles_up_to_ten_minutes_and_is_forgiven() {
    let (mut budget, mut now) = (Budget::new(1.0), Instant::now());
    for expected in [60, 120, 240, 480, 600, 600] {
        let away = budget.off(now, FILE, Level::NONE);
        assert_eq!(away, Duration::from_secs(expected));
        assert_eq!(budget.level(FILE), Level::NONE);
        let early = now + Duration::from_secs(expected - 1);
        assert!(budget.due(early).is_empty());
        now += Duration::from_secs(expected);
        assert_eq!(budget.due(now), [(FILE, EXACT)]);
        budget.on(now, FILE, EXACT);
        assert_eq!(budget.level(FILE), EXACT);
        assert!(budget.due(now + Duration::from_secs(9999)).is_empty());
        now += Duration::from_secs(2);
    }
    now += Duration::from_secs(600);
    let away = budget.off(now, FILE, BATCH);
    assert_eq!(away, Duration::from_secs(60));
}

#[test]
fn where_it_was_too_much_at_once_batches_are_tried_soon() {
    let (mut budget, t) = (Budget::new(1.0), Instant::now());
    assert_eq!(budget.off_at_once(t, FILE), Duration::from_secs(60));
    assert_eq!(budget.level(FILE), Level::NONE);
    assert!(budget.due(after(t, 4.9)).is_empty());
    // As long as they may not, each time it is asked.
    for at in [5.0, 6.0] {
        assert_eq!(budget.due(after(t, at)), [(FILE, BATCH)]);
    }
    // Later the next time.
    assert_eq!(
        budget.off_at_once(after(t, 6.0), FILE),
        Duration::from_secs(120)
    );
    assert!(budget.due(after(t, 15.9)).is_empty());
    assert_eq!(budget.due(after(t, 16.0)), [(FILE, BATCH)]);
    let t = after(t, 10.0);
    budget.on(after(t, 6.0), FILE, BATCH);
    assert!(budget.due(after(t, 125.9)).is_empty());
    assert_eq!(budget.due(after(t, 126.0)), [(FILE, EXACT)]);
}

#[test]
fn stops_are_counted_again_soon_and_later_each_time_it_is_too_many() {
    let (mut budget, mut now) = (Budget::new(1.0), Instant::now());
    for expected in [5, 10, 20, 40, 80, 160, 320, 600, 600] {
        let away = budget.off_at_once(now, STOPS);
        assert_eq!(away, Duration::from_secs(expected));
        assert_eq!(budget.level(STOPS), Level::NONE);
        let early = after(now, expected as f64 - 0.1);
        assert!(budget.due(early).is_empty());
        now = after(now, expected as f64);
        assert_eq!(budget.due(now), [(STOPS, Level(1))]);
        budget.on(now, STOPS, Level(1));
        assert_eq!(budget.level(STOPS), Level(1));
        assert!(budget.due(now).is_empty());
        now = after(now, 2.0);
    }
    now = after(now, 600.0);
    assert_eq!(budget.off_at_once(now, STOPS), Duration::from_secs(5));
}

#[test]
fn each_family_pays_for_itself() {
    let (mut budget, t) = (Budget::new(1.0), Instant::now());
    for family in [0, GOROUTINES] {
        budget.spent(t, PROCESS, family, cost(0.0, 0.0));
    }
    let then = after(t, 1.0);
    assert_eq!(
        budget.spent(then, PROCESS, GOROUTINES, cost(0.009, 0.0)),
        None
    );
    let over = budget.spent(then, PROCESS, 0, Cost([1e9, 0.0]));
    assert_eq!(over.map(|over| over.within), Some(Level::NONE));
    budget.off(then, STOPS, Level::NONE);
    assert_eq!(budget.level(FILE), EXACT);
}

#[test]
fn the_kernel_tells_of_ten_times_the_budget_and_of_a_tenth_of_a_cpu() {
    for (percent, expected) in [
        (0.01, Some((1_000, 200_000))),
        (0.6, Some((17, 12_000_000))),
        (1.0, Some((10, 20_000_000))),
        (2.0, Some((10, 20_000_000))),
        // Who allows more gets it.
        (50.0, Some((2, 100_000_000))),
        (100.0, None),
    ] {
        let found = at_once(percent).map(|it| (it.repayment, it.burst_ns));
        assert_eq!(found, expected, "{percent}");
    }
}

#[test]
fn a_known_rate_keeps_probes_away() {
    let budget = Budget::new(1.0);
    assert!(budget.allows(None, 1_200.0));
    assert!(budget.allows(Some(8_000.0), 1_200.0));
    assert!(!budget.allows(Some(9_000.0), 1_200.0));
}

#[test]
fn what_ended_is_forgotten() {
    let (mut budget, now) = (Budget::new(1.0), Instant::now());
    budget.spent(now, PROCESS, GOROUTINES, cost(0.0, 0.0));
    budget.ended(now, ProcessKey { tgid: 8, epoch: 1 }, FILE, cost(1.0, 0.0));
    budget.off(now, FILE, Level::NONE);
    budget.keep(|_| false);
    budget.forget(|_| false);
    assert!(budget.accounts.is_empty() && budget.files.is_empty() && budget.ended.is_empty());
}
