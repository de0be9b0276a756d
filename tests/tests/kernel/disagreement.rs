//! A figure that contradicts another, or what is possible, is withheld.

use std::time::Duration;

use observer_tests::{
    Observer, Process, Workload, metrics,
    paths::{GO, fixture},
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

#[test]
fn what_is_busy_contradicts_nothing() {
    let observer = Observer::start();
    let path = fixture("workload", GO, "default");
    let first = Workload::start(&path);
    observer.attached(first.pid);
    let mut all: Vec<_> = ["1.17.13", "1.22.12", GO, "1.27.4"]
        .into_iter()
        .map(|version| Workload::start(&fixture("workload", version, "default")))
        .collect();
    for w in &all {
        observer.attached(w.pid);
    }
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
        for seen in observer.processes() {
            let wrong: Vec<_> = seen
                .coverage
                .keys()
                .filter(|it| disagrees(&seen, it))
                .collect();
            assert!(wrong.is_empty(), "{}: {wrong:?}", seen.pid);
        }
    }
}
