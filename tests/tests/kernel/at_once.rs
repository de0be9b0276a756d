//! The kernel's side tells when probes on goroutines take too much at once, whatever
//! user space does meanwhile.

use std::{process::Command, time::Duration};

use observer_probe::{
    AtOnce, Event, EventKind, Kernel, LoadOptions, ProbeGroup, Probes, ProcessKey,
};
use observer_tests::{
    Observer, Workload, metrics,
    paths::{GO, fixture, observer},
    short::Family,
    spin::Spin,
    wait,
};

use crate::beside::probes::attach;

const TARGET: u32 = 1;
/// What is charged for a hit where it was not measured (`HitCost::FALLBACK`); all
/// sites on goroutines are emulated here.
const PRICE_NS: u64 = 600;
/// What each CPU may still owe before it is charged.
const SLICE_NS: u64 = 1 << 16;

fn load(at_once: AtOnce) -> Probes {
    let options = LoadOptions {
        at_once: Some(at_once),
        ..LoadOptions::default()
    };
    Probes::load(Kernel::read(), options).expect("the programs")
}

fn events(probes: &mut Probes) -> Vec<Event> {
    let mut events = Vec::new();
    probes.drain(|event| events.push(event));
    events
}

fn of_kind(events: &[Event], kind: EventKind) -> impl Iterator<Item = &Event> {
    let is_of = move |event: &&Event| EventKind::from_u32(event.kind) == Some(kind);
    events.iter().filter(is_of)
}

#[test]
fn a_storm_is_told_of_after_so_many_hits_and_calm_is_not() {
    let at_once = AtOnce {
        repayment: 10,
        burst_ns: 20_000_000,
    };
    let mut probes = load(at_once);
    attach(&mut probes, TARGET, &fixture("spin", GO, "default"));
    let mut spin = Spin::start();
    let tgid = spin.talk.pid();
    let registration = probes.register(tgid, TARGET).expect("a place");
    let epoch = registration.expect("it runs").epoch;
    let key = ProcessKey { tgid, epoch };
    // It takes a quarter of a percent of one CPU.
    spin.talk.ask("1500 0 2000");
    let calm = probes.goroutines(key).hits();
    // A busy machine may not let it keep to its rate.
    assert!(calm >= 3_000, "{calm} hits");
    let told = events(&mut probes);
    assert_eq!(of_kind(&told, EventKind::TooMuchAtOnce).count(), 0);

    let storm = spin.round(1_000, 0);
    let told = events(&mut probes);
    let told: Vec<_> = of_kind(&told, EventKind::TooMuchAtOnce).collect();
    assert!(told.iter().all(|event| event.target == TARGET));
    assert!(told.iter().all(|event| event.tgid == tgid));
    let spent = (probes.goroutines(key).hits() - calm) * PRICE_NS;
    let paid_back = storm.ns() as u64 / at_once.repayment;
    // Each time after a burst, and what was paid back until then. It is told of again
    // and again, since nothing is done about it.
    let most = spent / at_once.burst_ns + 1;
    let least = spent.saturating_sub(paid_back) / (at_once.burst_ns + SLICE_NS);
    let times = told.len() as u64;
    assert!(least > 3, "no storm: {spent} ns in {storm:?}");
    assert!(
        (least - 2..=most).contains(&times),
        "told {times} times, expected {least} to {most}"
    );
}

/// None of them spends as much as is told of.
#[test]
fn programs_that_end_at_once_are_told_of_together() {
    const EACH: u64 = 2_000;
    let at_once = AtOnce {
        repayment: 10_000,
        burst_ns: 3 * EACH * PRICE_NS,
    };
    let mut probes = load(at_once);
    attach(&mut probes, TARGET, &fixture("short", GO, "default"));
    let parent = Family::of(8, 1, [&EACH.to_string(), "0s"]);
    assert_eq!(parent.truth().children, 8);
    let told = events(&mut probes);
    let first = told
        .iter()
        .position(|event| event.kind == EventKind::TooMuchAtOnce as u32);
    let first = first.unwrap_or_else(|| panic!("not told of: {told:?}"));
    let begun = of_kind(&told[..first], EventKind::FirstHit).count();
    assert!(begun > 1, "told of the first: {told:?}");
}

/// What was under way when they left is no part of what they count once they are back.
#[test]
fn stops_are_told_of_for_themselves_and_go_on_being_counted() {
    let mut probes = load(AtOnce {
        repayment: 10_000,
        // Three times as many hits as are charged at once, at any price.
        burst_ns: 3 * 64 * PRICE_NS,
    });
    let path = fixture("workload", GO, "default");
    attach(&mut probes, TARGET, &path);
    let mut w = Workload::start(&path);
    let registration = probes.register(w.pid, TARGET).expect("a place");
    let epoch = registration.expect("it runs").epoch;
    let key = ProcessKey { tgid: w.pid, epoch };
    let stops = |probes: &Probes| {
        let (_, gc) = probes.read(key, None);
        gc.map_or((0, 0, 0), |gc| {
            let count = gc.stops.iter().map(|stops| stops.count).sum::<u64>();
            let total = gc.stops.iter().map(|stops| stops.total_ns).sum::<u64>();
            (gc.hits, count, total)
        })
    };
    w.run("readmem 500");
    let told = events(&mut probes);
    let of_stops = of_kind(&told, EventKind::TooManyStops).count();
    assert!(of_stops > 0, "{:?}", stops(&probes));
    assert_eq!(of_kind(&told, EventKind::TooMuchAtOnce).count(), 0);

    let set = |probes: &mut Probes, on| {
        let set = probes.set_group(TARGET, ProbeGroup::RARE, on);
        set.expect("the probes on stops");
    };
    set(&mut probes, false);
    wait::until("the probes to leave", Duration::from_secs(20), || {
        let before = stops(&probes).0;
        w.run("readmem 20");
        (stops(&probes).0 == before).then_some(())
    });
    let before = stops(&probes);
    w.run("readmem 100");
    assert_eq!(stops(&probes), before);
    set(&mut probes, true);
    w.run("readmem 100");
    let after = stops(&probes);
    assert!(after.1 >= before.1 + 100, "{before:?}, {after:?}");
}

/// A program that does nothing but stop the world.
#[test]
fn probes_on_stops_leave_a_program_that_stops_all_the_time() {
    let mut command = Command::new(observer());
    command.env("OBSERVER_PROBE_BUDGET", "0.01");
    let observer = Observer::start_as(command);
    let mut w = Workload::start(&fixture("workload", GO, "default"));
    observer.attached(w.pid);
    w.run("gc 2");
    // They come back, for shorter each time that it goes on.
    wait::until("a long absence", Duration::from_secs(90), || {
        w.run("readmem 5000");
        let log = observer.log();
        log.contains("for_at_least=20s").then_some(())
    });
    let off = wait::find(Duration::from_secs(20), || {
        let seen = observer.process(w.pid)?;
        let other = &seen.coverage["other_stops"];
        (other.reason.as_deref() == Some("over_budget")).then_some(seen)
    });
    let off = off.unwrap_or_else(|| panic!("{}", observer.log()));
    assert!(!off.coverage["gc_cycles"].covered, "{:?}", off.coverage);
    // What the state tells of collections goes on.
    w.run("gc 3");
    let said = w.report();
    observer.settled(w.pid);
    let own = format!("pid=\"{}\"", w.pid);
    let samples = observer.metrics();
    let value = |name: &str| metrics::sum(&samples, name, &[&own]);
    let cycles = value("go_gc_cycles_total_gc_cycles_total");
    assert_eq!(cycles, Some(said.num_gc as f64));
    assert_eq!(value("go_sched_stops_total"), None, "nobody counts them");
}

#[test]
fn with_no_bound_nothing_is_told() {
    let mut probes = Probes::load(Kernel::read(), LoadOptions::default()).expect("the programs");
    attach(&mut probes, TARGET, &fixture("spin", GO, "default"));
    let mut spin = Spin::start();
    spin.round(300, 0);
    let told = events(&mut probes);
    assert_eq!(of_kind(&told, EventKind::FirstHit).count(), 1);
    assert_eq!(of_kind(&told, EventKind::TooMuchAtOnce).count(), 0);
}

/// The kernel takes some 0.1 s for each perf event.
#[test]
fn where_probes_leave_slowly_newcomers_get_none_on_each_goroutine() {
    let mut command = Command::new(observer());
    command.env("OBSERVER_LINK", "perf");
    for (setting, value) in [("PROBE_BUDGET", "1"), ("GOROUTINE_PROBES", "auto")] {
        command.env(format!("OBSERVER_{setting}"), value);
    }
    let observer = Observer::start_as(command);
    let mut spin = Spin::start();
    let pid = spin.talk.pid();
    let seen = observer.attached(pid);
    assert!(seen.probes.batch && !seen.probes.exact, "{:?}", seen.probes);
    spin.talk.ask("500 0 2000");
    let seen = observer.settled(pid);
    assert!(seen.probes.batch && !seen.probes.exact, "{:?}", seen.probes);
    assert!(seen.probes.counted.batches > 0 && seen.probes.counted.created == 0);
    for figure in ["goroutines_created", "goroutines_exited", "goroutines"] {
        assert!(seen.coverage[figure].covered, "{:?}", seen.coverage);
    }
}
