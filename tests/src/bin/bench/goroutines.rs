//! Nanoseconds to create and end a goroutine: unobserved, with the probes a
//! plain tracer would set, and with the observer's.

use std::{fmt::Write as _, path::Path, process::Command, thread, time::Duration};

use observer_tests::{
    Observer,
    paths::{self, fixture},
    workload::Conversation,
};
use serde::Deserialize;

use crate::tracer::PlainTracer;

const ROUNDS: usize = 6;
const VERSIONS: [&str; 4] = ["1.17.13", "1.22.12", "1.26.8", "1.27.4"];

#[derive(Deserialize)]
struct Round {
    goroutines: f64,
    ns: f64,
}

/// A program that only makes goroutines, on one P: with more, an unobserved
/// program has several speeds of its own.
struct Spin(Conversation);

impl Spin {
    fn start(path: &Path) -> Self {
        let mut talk = Conversation::start(Command::new(path));
        talk.hear();
        Self(talk)
    }

    fn ns_per_goroutine(&mut self) -> f64 {
        self.0.ask("100");
        let round: Round = serde_json::from_str(&self.0.ask("500")).expect("spin's round");
        round.ns / round.goroutines
    }
}

#[derive(Default)]
struct Series(Vec<f64>);

impl Series {
    fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        }
    }
}

fn measure(path: &Path) -> [Series; 3] {
    let mut spin = Spin::start(path);
    let tracer = PlainTracer::new(path);
    let [mut none, mut entry, mut ours] = <[Series; 3]>::default();
    // In turns, so that a machine that gets slower gets slower for all.
    for _ in 0..ROUNDS {
        none.0.push(spin.ns_per_goroutine());

        let probes = tracer.enable();
        entry.0.push(spin.ns_per_goroutine());
        assert!(probes.hits() > 0, "the plain tracer's probes are not hit");
        drop(probes);

        let command = Command::new(paths::observer());
        let mut observer = Observer::spawn_every(Duration::from_secs(1), command);
        observer.await_ready();
        let before = observer.attached(spin.0.pid()).figures.created;
        ours.0.push(spin.ns_per_goroutine());
        thread::sleep(Duration::from_millis(1500));
        let counted = observer.attached(spin.0.pid()).figures.created - before;
        assert!(counted > 0, "the observer's probes are not hit");
        observer.stop();
    }
    [none, entry, ours]
}

/// The table.
pub(crate) fn table() -> String {
    let mut table = format!(
        "ns per goroutine, minimum / median of {ROUNDS} rounds of 0.5 s in turns, GOMAXPROCS=1. \
         A plain tracer has uprobes on the first instruction of `runtime.newproc1` and of \
         `runtime.gdestroy` (`goexit0` before 1.22).\n\n\
         | Go | unobserved | plain entry probes | observer | added by the observer, \
         of what entry probes add (minimum / median) |\n\
         | --- | --- | --- | --- | --- |\n"
    );
    for version in VERSIONS {
        let [none, entry, ours] = measure(&fixture("spin", version, "default"));
        let cell = |s: &Series| format!("{:.0} / {:.0}", s.min(), s.median());
        let share =
            |of: fn(&Series) -> f64| 100.0 * (of(&ours) - of(&none)) / (of(&entry) - of(&none));
        let _ = writeln!(
            table,
            "| {version} | {} | {} | {} | {:.1} % / {:.1} % |",
            cell(&none),
            cell(&entry),
            cell(&ours),
            share(Series::min),
            share(Series::median),
        );
    }
    table
}
