//! What observing may cost: a process above the budget loses the probes that
//! cost it, and nothing else.

use std::{process::Command, time::Duration};

use observer_tests::{
    Observer, metrics,
    observer::{Site, changed, sites},
    paths::{GO, fixture, observer},
    short::Family,
    spin::Spin,
    wait,
};

/// For what the kernel and the observer do at once, on a busy machine.
const SOON: Duration = Duration::from_secs(15);

/// The sites of spin that are hit as goroutines come and go, and the others.
fn groups() -> (Vec<Site>, Vec<Site>) {
    sites(&fixture("spin", GO, "default"))
        .into_iter()
        .partition(|site| site.kind.contains("Goroutine") || site.kind == "GoidRefill")
}

/// What a hit costs on emulated instructions, as the observer measured it.
fn price_ns(observer: &Observer) -> f64 {
    let samples = observer.metrics();
    for kind in ["emulated", "single_stepped"] {
        let label = format!("kind=\"{kind}\"");
        let price = metrics::sum(&samples, "observer_probe_hit_seconds", &[&label]);
        assert!(
            price > Some(5e-8) && price < Some(2e-4),
            "{kind}: {price:?}"
        );
    }
    let emulated = ["kind=\"emulated\""];
    let price = metrics::sum(&samples, "observer_probe_hit_seconds", &emulated);
    1e9 * price.expect("a price")
}

#[test]
fn hits_are_charged_with_what_they_take() {
    let mut spin = Spin::start();
    let pid = spin.talk.pid();
    let bare = spin.best(10);
    let observer = Observer::start();
    observer.attached(pid);
    price_ns(&observer);
    // Two hits and little else in a goroutine: what was measured at start must
    // be what they take. What is charged wrongly is so each time.
    let mut tried = Vec::new();
    let right = wait::comes_true(Duration::from_secs(20), || {
        let probed = spin.best(5);
        observer.settled(pid);
        let samples = observer.metrics();
        let own = format!("pid=\"{pid}\"");
        let value = |name: &str| metrics::sum(&samples, name, &[&own]);
        let (hits, cost) = (
            value("observer_probe_hits_total").expect("hits"),
            value("observer_probe_cost_seconds_total").expect("their cost"),
        );
        let took = hits * (probed - bare) / 2.0 / 1e9;
        tried.push(format!("charged {cost} s, took {took} s"));
        (0.3..3.0).contains(&(cost / took))
    });
    assert!(right, "{tried:?}");
}

/// The kernel's side tells of it; the tests in `at_once` say after how many hits.
#[test]
fn a_process_over_the_budget_loses_the_probes_that_cost_it() {
    let file = fixture("spin", GO, "default");
    let (hot, rare) = groups();
    let mut spin = Spin::start();
    let pid = spin.talk.pid();
    let bare = spin.best(10);

    let mut command = Command::new(observer());
    command.env("OBSERVER_PROBE_BUDGET", "1");
    let observer = Observer::start_as(command);
    observer.attached(pid);
    assert_eq!(changed(pid, &file, &hot), hot.len(), "hot probes are set");
    let probed = 2.0_f64.mul_add(price_ns(&observer), bare);
    spin.talk.say("3000");
    let off = wait::comes_true(SOON, || {
        observer.process(pid).is_some_and(|p| !p.probes.hot)
    });
    assert!(off, "{:?}\n{}", observer.process(pid), observer.log());
    // Before batches are tried again.
    let gone = wait::comes_true(SOON, || changed(pid, &file, &hot) == 0);
    assert!(gone, "the text at hot sites is restored");
    let told = observer.log().contains("too much at once");
    assert!(told, "the engine found out by itself\n{}", observer.log());
    spin.talk.hear();
    assert_eq!(changed(pid, &file, &rare), rare.len(), "rare probes stay");

    let before = observer.settled(pid);
    // The figure itself is for the benchmark: other tests run meanwhile. Probes that
    // stayed would cost as much each time.
    let mut after = f64::MAX;
    let as_bare = wait::comes_true(SOON, || {
        after = spin.best(10);
        after < f64::midpoint(bare, probed)
    });
    println!("ns per goroutine: {bare:.0} bare, {probed:.0} probed, {after:.0} over budget");
    assert!(
        as_bare,
        "ns per goroutine: {bare:.0} bare, {after:.0} over budget"
    );

    let now = observer.settled(pid);
    for (figure, coverage) in &now.coverage {
        // What probes counted is known from the state all the same.
        assert!(coverage.covered, "{figure}: {coverage:?}");
    }
    assert!(!now.figures.from_start && now.figures.goroutines.is_some());
    assert_eq!(now.figures.created, before.figures.created, "no hit more");
    assert!(
        now.figures.cycles() > before.figures.cycles(),
        "collections are still counted: {:?}",
        now.figures
    );

    let samples = observer.metrics();
    let own = format!("pid=\"{pid}\"");
    let value = |name: &str| metrics::sum(&samples, name, &[&own]);
    // Batches may be tried again by now.
    let exact = [own.as_str(), "group=\"exact\""];
    let exact = metrics::sum(&samples, "observer_probe_hot", &exact);
    assert_eq!(exact, Some(0.0));
    let created = value("go_sched_goroutines_created_goroutines_total").expect("created");
    assert!(
        created > now.figures.created as f64,
        "counting goes on from the state"
    );
    assert!(value("go_gc_cycles_total_gc_cycles_total") > Some(0.0));
}

#[test]
fn a_process_within_the_budget_keeps_its_probes() {
    let observer = Observer::start();
    let mut spin = Spin::start();
    let pid = spin.talk.pid();
    observer.attached(pid);
    spin.round(2500, 0);
    let now = observer.settled(pid);
    assert!(now.probes.hot && now.coverage["goroutines_created"].covered);
    assert!(now.probes.hits > 0 && now.probes.cost_ns > 0);
    let interval = metrics::sum(&observer.metrics(), "observer_interval_seconds", &[]);
    assert_eq!(interval, Some(0.2));
}

/// Creates 20,000 goroutines a second: too many to count each, not too many
/// for batches.
#[test]
fn batches_stay_where_each_goroutine_is_too_much() {
    let mut command = Command::new(observer());
    command.env("OBSERVER_PROBE_BUDGET", "1");
    let observer = Observer::start_as(command);
    let mut spin = Spin::start();
    let pid = spin.talk.pid();
    observer.attached(pid);
    spin.talk.say("6000 0 20000");
    // Some seconds more where the machine was busy, and so many came at once that
    // batches left, too.
    let batch = wait::comes_true(Duration::from_secs(20), || {
        let probes = observer.process(pid).map(|p| p.probes);
        probes.is_some_and(|probes| probes.batch && !probes.exact)
    });
    assert!(batch, "{:?}\n{}", observer.process(pid), observer.log());
    spin.talk.hear();
    let now = observer.settled(pid);
    assert!(now.probes.batch && !now.probes.exact, "{:?}", now.probes);
    let labels = [format!("pid=\"{pid}\""), "figure=\"ids\"".into()];
    let labels = labels.each_ref().map(String::as_str);
    let name = "observer_planes_difference_goroutines";
    let difference = || metrics::sum(&observer.metrics(), name, &labels);
    let none = wait::comes_true(SOON, || difference() == Some(0.0));
    assert!(none, "{:?}", difference());
}

/// None of them is there long enough to be over the budget alone.
#[test]
fn programs_that_end_at_once_are_charged_together() {
    let mut command = Command::new(observer());
    command.env("OBSERVER_PROBE_BUDGET", "0.01");
    let observer = Observer::start_as(command);
    let known = Family::standing();
    observer.attached(known.pid());
    let _parent = Family::of(400, 4, ["100", "1ms"]);
    let off = wait::comes_true(Duration::from_secs(30), || {
        let probes = observer.process(known.pid()).map(|p| p.probes);
        probes.is_some_and(|probes| !probes.exact)
    });
    assert!(off, "{}", observer.log());
}
