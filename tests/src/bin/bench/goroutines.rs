//! What a goroutine costs a program: unobserved, under the observer once it
//! has settled, and with the probes a plain tracer would set.

use std::{fmt::Write as _, path::Path, process::Command, time::Duration};

use observer_tests::{
    Observer,
    paths::{self, fixture},
    wait,
    workload::Conversation,
};
use serde::Deserialize;

use crate::tracer::PlainTracer;

/// How often the three ways take turns, so that a machine that gets slower
/// gets slower for all; and short rounds of each load in one turn.
const TURNS: usize = 7;
const ROUNDS: usize = 3;
const ROUND_MS: u32 = 200;
const VERSIONS: [&str; 4] = ["1.17.13", "1.22.12", "1.26.8", "1.27.4"];
/// Goroutines a second of a busy server.
const RATE: u32 = 20_000;
/// How long the budget may take.
const BUDGET_ACTS: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Deserialize)]
struct Round {
    goroutines: f64,
    ns: f64,
    cpu_ns: f64,
}

/// A load, and what of it is measured.
struct Load {
    name: &'static str,
    work: u32,
    rate: u32,
    of: fn(Round) -> f64,
}

/// Only making goroutines, on one P: with more, an unobserved program has
/// several speeds of its own. The first is measured last, since the budget
/// takes probes away then.
fn loads(work: u32) -> [Load; 4] {
    let load = |name, work, rate, of| Load {
        name,
        work,
        rate,
        of,
    };
    [
        load("as fast as it can", 0, 0, |round| round.ns),
        load("20,000 a second, bound by CPU", work, 0, |round| round.ns),
        load("the same, CPU time", work, 0, |round| round.cpu_ns),
        load("20,000 a second, paced: CPU time", 0, RATE, |round| {
            round.cpu_ns
        }),
    ]
}

/// The program.
struct Spin(Conversation);

impl Spin {
    fn start(path: &Path) -> Self {
        let mut talk = Conversation::start(Command::new(path));
        talk.hear();
        Self(talk)
    }

    fn round(&mut self, ms: u32, work: u32, rate: u32) -> Round {
        let line = self.0.ask(&format!("{ms} {work} {rate}"));
        serde_json::from_str(&line).expect("spin's round")
    }

    /// Turns in a loop that make [`RATE`] goroutines fill a second of one CPU,
    /// whoever else uses it.
    fn calibrate(&mut self) -> u32 {
        const TRIED: u32 = 20_000;
        let each = median((0..9).map(|_| {
            let round = self.round(ROUND_MS, TRIED, 0);
            round.cpu_ns / round.goroutines
        }));
        (f64::from(TRIED) * 1e9 / f64::from(RATE) / each) as u32
    }

    /// Nanoseconds of a goroutine.
    fn measure(&mut self, load: &Load) -> f64 {
        self.round(ROUND_MS / 4, load.work, load.rate);
        median((0..ROUNDS).map(|_| {
            let round = self.round(ROUND_MS, load.work, load.rate);
            (load.of)(round) / round.goroutines
        }))
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    } else {
        sorted[middle]
    }
}

/// One load in one turn: unobserved, observed, plain entry probes, and
/// unobserved once more.
type Turn = [f64; 4];

fn observed(spin: &mut Spin, loads: &[Load; 4]) -> [f64; 4] {
    let mut command = Command::new(paths::observer());
    command
        .env("OBSERVER_PROBE_BUDGET", "1")
        .env("OBSERVER_CPU_CEILING", "5")
        .env("OBSERVER_GOROUTINE_PROBES", "auto");
    let mut observer = Observer::spawn_every(Duration::from_secs(1), command);
    observer.await_ready();
    let pid = spin.0.pid();
    let probes = || observer.process(pid).map(|process| process.probes);
    // A process that sleeps is sampled, too.
    wait::until("batches only", Duration::from_secs(10), || {
        probes().filter(|probes| probes.batch && !probes.exact)
    });
    let before = probes().map_or(0, |probes| probes.counted.batches);
    let [fast, others @ ..] = loads;
    let [bound, bound_cpu, paced] = others.each_ref().map(|load| spin.measure(load));
    spin.0
        .say(&format!("{} 0 0", BUDGET_ACTS.as_millis() + 1500));
    let acted = wait::comes_true(BUDGET_ACTS + Duration::from_secs(1), || {
        probes().is_some_and(|probes| !probes.hot)
    });
    assert!(acted, "over the budget: {:?}\n{}", probes(), observer.log());
    let counted = probes().map_or(0, |probes| probes.counted.batches) - before;
    assert!(counted > 0, "the observer's probes are not hit");
    spin.0.hear();
    let fast = spin.measure(fast);
    observer.stop();
    [fast, bound, bound_cpu, paced]
}

fn measure(path: &Path) -> [(&'static str, Vec<Turn>); 4] {
    let mut spin = Spin::start(path);
    let loads = loads(spin.calibrate());
    let tracer = PlainTracer::new(path);
    let mut turns = loads.each_ref().map(|load| (load.name, Vec::new()));
    for _ in 0..TURNS {
        let before = loads.each_ref().map(|load| spin.measure(load));
        let ours = observed(&mut spin, &loads);
        let after = loads.each_ref().map(|load| spin.measure(load));
        let probes = tracer.enable();
        let entry = loads.each_ref().map(|load| spin.measure(load));
        assert!(probes.hits() > 0, "the plain tracer's probes are not hit");
        drop(probes);
        for (n, (_, turns)) in turns.iter_mut().enumerate() {
            turns.push([before[n], ours[n], entry[n], after[n]]);
        }
    }
    turns
}

/// The table.
pub(crate) fn table() -> String {
    let mut table = format!(
        "ns per goroutine, medians of {TURNS} turns; the ratios are the medians of each turn's, \
         to what was measured unobserved right before and after. GOMAXPROCS=1, \
         `--probe-budget 1`, `--goroutine-probes auto`: as fast as it can, once the budget has \
         acted (at most {} s); 20,000 a second, with all probes in place that are needed. A plain \
         tracer has uprobes on the first instruction of `runtime.newproc1` and of \
         `runtime.gdestroy` (`goexit0` before 1.22).\n\n\
         | Go | load | unobserved | observed | plain entry probes | observed / unobserved | \
         plain / unobserved |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
        BUDGET_ACTS.as_secs()
    );
    for version in VERSIONS {
        for (load, turns) in measure(&fixture("spin", version, "default")) {
            let of = |of: fn(&Turn) -> f64| median(turns.iter().map(of));
            let _ = writeln!(
                table,
                "| {version} | {load} | {:.0} | {:.0} | {:.0} | {:.3} | {:.3} |",
                of(|turn| f64::midpoint(turn[0], turn[3])),
                of(|turn| turn[1]),
                of(|turn| turn[2]),
                of(|turn| turn[1] / f64::midpoint(turn[0], turn[3])),
                of(|turn| turn[2] / turn[3]),
            );
        }
    }
    table
}
