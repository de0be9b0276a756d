//! What probes that count each goroutine add to it: the observer's, where it is
//! told to count each, and those of a plain tracer.

use std::{fmt::Write as _, path::Path, process::Command, time::Duration};

use observer_tests::{
    Observer,
    paths::{self, GO, NEWEST, OLDEST, fixture, go1},
    spin::Spin,
};

use crate::{statistics::median, tracer::PlainTracer};

const TURNS: usize = 5;
const ROUNDS: usize = 5;
const ROUND_MS: u32 = 200;
const VERSIONS: [&str; 4] = [OLDEST, go1(22), GO, NEWEST];

/// Nanoseconds of a goroutine unobserved, with the observer's probes, and with
/// the plain tracer's.
type Turn = [f64; 3];

fn measured(spin: &mut Spin) -> f64 {
    spin.round(ROUND_MS / 2, 0);
    median((0..ROUNDS).map(|_| spin.round(ROUND_MS, 0).elapsed()))
}

fn observed(spin: &mut Spin) -> f64 {
    let mut command = Command::new(paths::observer());
    command
        .env("OBSERVER_PROBE_BUDGET", "100")
        .env("OBSERVER_GOROUTINE_PROBES", "always");
    let mut observer = Observer::spawn_every(Duration::from_secs(1), command);
    observer.await_ready();
    let pid = spin.talk.pid();
    let counted = |before: u64| {
        let process = observer.attached(pid);
        assert!(process.probes.exact, "{:?}", process.probes);
        process.probes.counted.created - before
    };
    let before = counted(0);
    let ns = measured(spin);
    assert!(counted(before) > 0, "the observer's probes are not hit");
    observer.stop();
    ns
}

fn measure(path: &Path) -> Vec<Turn> {
    let mut spin = Spin::of(path);
    let tracer = PlainTracer::new(path);
    (0..TURNS)
        .map(|_| {
            let unobserved = measured(&mut spin);
            let ours = observed(&mut spin);
            let probes = tracer.enable();
            let plain = measured(&mut spin);
            assert!(probes.hits() > 0, "the plain tracer's probes are not hit");
            [unobserved, ours, plain]
        })
        .collect()
}

/// The table.
pub(crate) fn table() -> String {
    let mut table = format!(
        "ns per goroutine of a program that does nothing but create goroutines, medians of \
         {TURNS} turns of {ROUNDS} rounds of {ROUND_MS} ms, GOMAXPROCS=1. The observer counts each \
         as the plain tracer does (`--goroutine-probes always`, no budget).\n\n\
         | Go | unobserved | plain entry probes | observer | added by the observer, of what plain \
         entry probes add |\n| --- | --- | --- | --- | --- |\n"
    );
    for version in VERSIONS {
        let turns = measure(&fixture("spin", version, "default"));
        let of = |of: fn(&Turn) -> f64| median(turns.iter().map(of));
        let _ = writeln!(
            table,
            "| {version} | {:.0} | {:.0} | {:.0} | {:.1} % |",
            of(|turn| turn[0]),
            of(|turn| turn[2]),
            of(|turn| turn[1]),
            of(|turn| 100.0 * (turn[1] - turn[0]) / (turn[2] - turn[0])),
        );
    }
    table
}
