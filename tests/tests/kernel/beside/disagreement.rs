//! A figure that contradicts another, or what is possible, is withheld.

use std::{thread, time::Duration};

use observer_tests::{
    Observer, Process, Workload, metrics,
    observer::INTERVAL,
    paths::{GO, NEWEST, OLDEST, fixture, go1},
    wait,
};

use crate::forge::{self, Variables};

/// Some samples, and more on a busy machine.
const SOON: Duration = Duration::from_mins(1);

/// Has a program do something until the observer has seen it to be so.
fn until(
    what: &str,
    observer: &Observer,
    w: &mut Workload,
    is_so: impl Fn(&Process) -> bool,
) -> Process {
    wait::until(what, SOON, || {
        w.run("burst 20 0");
        w.run("gc 1");
        observer.process(w.pid).filter(&is_so)
    })
}

fn reason(process: &Process, figure: &str) -> Option<String> {
    process.coverage[figure].reason.clone()
}

fn disagrees(process: &Process, figure: &str) -> bool {
    reason(process, figure).as_deref() == Some("planes_disagree")
}

fn all_covered(process: &Process) -> bool {
    process.coverage.values().all(|coverage| coverage.covered)
}

/// What is known of these processes, and not of another test's.
fn of(observer: &Observer, pids: &[u32]) -> Vec<Process> {
    let mut seen = observer.processes();
    seen.retain(|process| pids.contains(&process.pid));
    assert!(seen.len() >= pids.len(), "{seen:?}");
    seen
}

fn exported(observer: &Observer, name: &str, pid: u32) -> Option<f64> {
    let pid = format!("pid=\"{pid}\"");
    metrics::sum(&observer.metrics(), name, &[&pid])
}

#[test]
fn what_contradicts_the_probes_is_withheld() {
    let path = fixture("workload", GO, "default");
    let variables = Variables::of(&path);
    let observer = Observer::start();
    // The next is seen from its first instruction on.
    let mut neighbour = Workload::start(&path);
    observer.attached(neighbour.pid);
    let mut w = Workload::start(&path);
    let pid = w.pid;
    until("all of it covered", &observer, &mut w, all_covered);
    for (address, size, by, figure, name) in [
        (
            variables.created(),
            8,
            1_000_000,
            "goroutines_created",
            "go_sched_goroutines_created_goroutines_total",
        ),
        (
            variables.created(),
            8,
            // More than any machine creates in the time.
            36_000_000_000_000,
            "goroutines_exited",
            "go_sched_goroutines_exited_goroutines_total",
        ),
        (
            variables.cycles(),
            4,
            1_000,
            "gc_cycles",
            "go_gc_cycles_total_gc_cycles_total",
        ),
        (
            variables.pause_total(),
            8,
            5_000_000_000,
            "gc_pauses",
            "go_gc_duration_seconds_sum",
        ),
    ] {
        assert!(exported(&observer, name, pid).is_some(), "{name}");
        forge::add(pid, address, size, by);
        let what = format!("{figure} withheld");
        let seen = until(&what, &observer, &mut w, |it| disagrees(it, figure));
        assert!(disagrees(&seen, "state"), "{:?}", seen.coverage);
        assert_eq!(exported(&observer, name, pid), None, "{name}");
        assert_eq!(exported(&observer, "go_threads", pid), None);
        let detail = seen.coverage[figure].detail.as_deref().unwrap_or_default();
        assert!(detail.contains("memory has"), "{detail}");
        // What is true is true again, if not at once.
        forge::add(pid, address, size, -by);
        until("all of it covered again", &observer, &mut w, all_covered);
        let said = w.report();
        wait::until("its figures", SOON, || {
            let seen = observer.process(pid)?.figures;
            (seen.ever == Some((said.created, said.exited)) && seen.cycles() == said.num_gc)
                .then_some(())
        });
    }
    let seen = until("the neighbour", &observer, &mut neighbour, |_| true);
    assert!(all_covered(&seen), "{:?}", seen.coverage);
}

/// Less than what may be under way in a busy process.
#[test]
fn what_is_off_by_a_little_is_withheld_once_nothing_runs() {
    let path = fixture("workload", GO, "default");
    let variables = Variables::of(&path);
    let observer = Observer::start();
    // The next is seen from its first instruction on.
    let mut neighbour = Workload::start(&path);
    observer.attached(neighbour.pid);
    let mut w = Workload::start(&path);
    let pid = w.pid;
    for (address, size, by, figure, other) in [
        (variables.cycles(), 4, 2, "gc_cycles", "goroutines_created"),
        (
            variables.created(),
            8,
            500,
            "goroutines_created",
            "gc_cycles",
        ),
    ] {
        until("all of it covered", &observer, &mut w, all_covered);
        forge::add(pid, address, size, by);
        // What is read at rest is what was read last.
        w.run("burst 20 0");
        let seen = wait::until("it withheld at rest", SOON, || {
            let seen = observer.process(pid)?;
            disagrees(&seen, figure).then_some(seen)
        });
        assert!(disagrees(&seen, "state"), "{:?}", seen.coverage);
        assert!(!disagrees(&seen, other), "{:?}", seen.coverage);
        // It goes on, and is as far off as before.
        for _ in 0..20 {
            w.run("burst 20 0");
            w.run("gc 1");
            thread::sleep(INTERVAL);
        }
        let seen = observer.process(pid).expect("it is listed");
        assert!(disagrees(&seen, figure), "{:?}", seen.coverage);
        forge::add(pid, address, size, -by);
    }
    until("all of it covered again", &observer, &mut w, all_covered);
    // One that is withheld hides no other.
    forge::add(pid, variables.created(), 8, 1_000_000);
    until("goroutines withheld", &observer, &mut w, |it| {
        disagrees(it, "goroutines_created")
    });
    forge::add(pid, variables.cycles(), 4, 1_000);
    until("collections withheld, too", &observer, &mut w, |it| {
        disagrees(it, "goroutines_created") && disagrees(it, "gc_cycles")
    });
    neighbour.run("gc 1");
    let seen = observer.settled(neighbour.pid);
    assert!(all_covered(&seen), "{:?}", seen.coverage);
}

/// What is at rest again and again is where a difference of nothing must be told.
#[test]
fn what_comes_to_rest_contradicts_nothing() {
    let observer = Observer::start();
    let first = Workload::start(&fixture("workload", GO, "default"));
    observer.attached(first.pid);
    let versions = [OLDEST, go1(22), go1(25), GO, NEWEST];
    let variants = ["default", "cgo"];
    let mut all: Vec<_> = versions
        .into_iter()
        .flat_map(|version| variants.map(|variant| fixture("workload", version, variant)))
        .map(|path| Workload::start(&path))
        .collect();
    for w in &all {
        observer.attached(w.pid);
    }
    let pids: Vec<_> = all.iter().map(|w| w.pid).chain([first.pid]).collect();
    for _ in 0..4 {
        for w in &mut all {
            w.run("burst 500 0");
            w.run("gc 2");
        }
        // Some looks at each at rest.
        thread::sleep(8 * INTERVAL);
        for seen in of(&observer, &pids) {
            let wrong: Vec<_> = seen
                .coverage
                .iter()
                .filter(|(figure, _)| disagrees(&seen, figure))
                .collect();
            assert!(wrong.is_empty(), "{}: {wrong:?}", seen.process);
        }
    }
}

#[test]
fn what_is_busy_contradicts_nothing() {
    let observer = Observer::start();
    let path = fixture("workload", GO, "default");
    let first = Workload::start(&path);
    observer.attached(first.pid);
    let mut all: Vec<_> = [OLDEST, go1(22), GO, NEWEST]
        .into_iter()
        .map(|version| Workload::start(&fixture("workload", version, "default")))
        .collect();
    for w in &all {
        observer.attached(w.pid);
    }
    let pids: Vec<_> = all.iter().map(|w| w.pid).chain([first.pid]).collect();
    // Amid goroutines and collections is where the two planes are apart.
    for _ in 0..20 {
        for w in &mut all {
            w.begin("burst 2000 0");
            w.begin("gc 20");
        }
        for w in &mut all {
            w.finish("burst 2000 0");
            w.finish("gc 20");
        }
        for seen in of(&observer, &pids) {
            let wrong: Vec<_> = seen
                .coverage
                .keys()
                .filter(|it| disagrees(&seen, it))
                .collect();
            assert!(wrong.is_empty(), "{}: {wrong:?}", seen.pid);
        }
    }
}
