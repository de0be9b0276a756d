//! What probes count of a build with experiments of Go's own is what the program says
//! of itself, or is left out with the reason.

use observer_tests::{
    Observer, Process, Workload,
    exact::{compare, exercise, minus, said, seen},
    observer::ATTACH,
    paths::go1,
    wait,
};

use crate::builds;

/// A release, and an experiment that changes its runtime.
const EXPERIMENTS: [(&str, &str); 2] = [(go1(26), "nogreenteagc"), (go1(23), "staticlockranking")];
/// How it is built beside that. Stripped, no state confirms what probes count.
const VARIANTS: [(&str, &[&str]); 2] = [("default", &[]), ("stripped", &["-ldflags=-s -w"])];

/// What a figure of a workload is covered as, of those that probes count.
fn group(figure: &str) -> Option<&'static str> {
    match figure {
        "created" | "system goroutines" => Some("goroutines_created"),
        "exited" => Some("goroutines_exited"),
        "cycles" | "forced cycles" | "unknown cycles" => Some("gc_cycles"),
        "pause_total_ns" | "gc_sweep_termination" | "gc_mark_termination" => Some("gc_pauses"),
        // The runtime's own, from memory.
        histogram if histogram.ends_with("histogram") => None,
        _ => Some("other_stops"),
    }
}

/// Whether probes count it. What they do not count has its reason.
fn is_counted(process: &Process, figure: &str, name: &str) -> bool {
    let Some(group) = group(figure) else {
        return false;
    };
    let coverage = &process.coverage[group];
    let reason = coverage.reason.as_deref();
    // Between two readings nothing is lacking of a program that was there before.
    let counts = coverage.covered || reason == Some("started_before");
    let expected = ["unverified_build", "no_site", "no_function"];
    let told = reason.is_some_and(|reason| expected.contains(&reason));
    assert!(counts || told, "{name}: {group}: {coverage:?}");
    counts
}

#[test]
fn what_probes_count_of_an_experiment_is_exact_or_left_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let observer = Observer::start();
    let mut wrong = Vec::new();
    let mut compared = 0;
    for (version, experiments) in EXPERIMENTS {
        for (variant, flags) in VARIANTS {
            let name = format!("{version} {experiments} {variant}");
            let built = directory.path().join(name.replace(' ', "-"));
            builds::fixture("workload", version, &built, flags, experiments);
            let mut w = Workload::start(&built);
            wait::until(&format!("{name} listed"), ATTACH, || {
                observer.process(w.pid).map(drop)
            });
            // Probes stand by then where they may, and it has been sampled.
            let process = observer.settled(w.pid);
            // Twice, so that no reason for a stop is new the second time.
            exercise(&mut w);
            let before = said(&w.report(), w.minor());
            let first = observer.settled(w.pid);
            let seen_before = seen(&first, &observer.metrics(), &before);
            exercise(&mut w);
            let after = said(&w.report(), w.minor());
            let last = observer.settled(w.pid);
            let seen_after = seen(&last, &observer.metrics(), &after);
            let mut came = minus(&after, &before);
            came.retain(|figure, _| is_counted(&process, figure, &name));
            compared += came.len();
            compare(&name, &came, &minus(&seen_after, &seen_before), &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    println!("{compared} figures compared");
}
