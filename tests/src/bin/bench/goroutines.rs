//! What a goroutine costs a program: unobserved, under the observer once it
//! has settled, and with the probes a plain tracer would set.

use std::{fmt::Write as _, path::Path, process::Command, time::Duration};

use observer_tests::{
    Observer,
    api::Probes,
    paths::{self, fixture},
    spin::{Round, Spin},
    wait,
};

use crate::{
    statistics::{median, sorted},
    tracer::PlainTracer,
};

/// How often the three ways take turns, and rounds of each load in one of
/// them. A machine gets slower and faster; what is held against each other was
/// measured within half a minute.
const TURNS: usize = 7;
const ROUNDS: usize = 6;
const ROUND_MS: u32 = 100;
const VERSIONS: [&str; 4] = ["1.17.13", "1.22.12", "1.26.8", "1.27.4"];
/// Goroutines a second of a busy server.
const RATE: u32 = 20_000;
/// How long the budget may take.
const BUDGET_ACTS: Duration = Duration::from_secs(3);

/// What the program does, and what of it counts.
#[derive(Clone, Copy)]
struct Load {
    name: &'static str,
    work: u32,
    rate: u32,
    of: fn(Round) -> f64,
}

/// On one P: with more, an unobserved program has several speeds of its own.
fn loads(work: u32) -> [Load; 3] {
    let load = |name, work, rate, of| Load {
        name,
        work,
        rate,
        of,
    };
    [
        load("20,000 a second, CPU-bound", work, 0, Round::elapsed),
        load("20,000 a second, paced: CPU time", 0, RATE, Round::cpu),
        load("as fast as it can", 0, 0, Round::elapsed),
    ]
}

/// Turns in a loop that make [`RATE`] goroutines fill a second of one CPU,
/// whoever else uses it.
fn calibrate(spin: &mut Spin) -> u32 {
    const TRIED: u32 = 20_000;
    let each = median((0..9).map(|_| spin.round(200, TRIED, 0).cpu()));
    (f64::from(TRIED) * 1e9 / f64::from(RATE) / each) as u32
}

/// Nanoseconds of a goroutine.
fn measured(spin: &mut Spin, load: &Load) -> f64 {
    spin.round(ROUND_MS / 2, load.work, load.rate);
    median((0..ROUNDS).map(|_| (load.of)(spin.round(ROUND_MS, load.work, load.rate))))
}

/// One turn of one load, in nanoseconds of a goroutine.
#[derive(Clone, Copy, Default)]
struct Turn {
    before: f64,
    observed: f64,
    after: f64,
    plain: f64,
}

impl Turn {
    fn unobserved(self) -> f64 {
        f64::midpoint(self.before, self.after)
    }
}

/// The turns of one load, and what stood at the end of the last.
#[derive(Default)]
struct Measured {
    turns: Vec<Turn>,
    probes: Option<Probes>,
}

impl Measured {
    fn median(&self, of: impl Fn(Turn) -> f64) -> f64 {
        median(self.turns.iter().copied().map(of))
    }

    /// How much the unobserved program differs from itself within a turn: the
    /// second lowest and the second highest.
    fn noise(&self) -> (f64, f64) {
        let sorted = sorted(self.turns.iter().map(|turn| turn.after / turn.before));
        (sorted[1], sorted[sorted.len() - 2])
    }
}

/// The program under an observer: each load is measured once the budget has
/// had the time to act on it.
fn observed(spin: &mut Spin, loads: &[Load]) -> Vec<(f64, Probes)> {
    let mut command = Command::new(paths::observer());
    command
        .env("OBSERVER_PROBE_BUDGET", "1")
        .env("OBSERVER_CPU_CEILING", "5")
        .env("OBSERVER_GOROUTINE_PROBES", "auto");
    let mut observer = Observer::spawn_every(Duration::from_secs(1), command);
    observer.await_ready();
    let pid = spin.talk.pid();
    let probes = || observer.process(pid).map(|process| process.probes);
    // A process that sleeps is sampled, too.
    wait::until("batches only", Duration::from_secs(10), || {
        probes().filter(|probes| probes.batch && !probes.exact)
    });
    let mut all = Vec::new();
    for load in loads {
        let before = probes().map_or(0, |probes| probes.counted.batches);
        let settling = BUDGET_ACTS.as_millis() + 1500;
        spin.talk
            .say(&format!("{settling} {} {}", load.work, load.rate));
        let acted = wait::comes_true(BUDGET_ACTS + Duration::from_secs(1), || {
            probes().is_some_and(|probes| !probes.hot)
        });
        spin.talk.hear();
        let fast = load.rate == 0 && load.work == 0;
        assert!(acted || !fast, "over the budget\n{}", observer.log());
        let ns = measured(spin, load);
        let now = probes().expect("it is listed");
        let counted = now.counted.batches > before;
        assert!(counted || !now.batch, "the observer's probes are not hit");
        all.push((ns, now));
    }
    observer.stop();
    all
}

fn measure(path: &Path) -> Vec<(Load, Measured)> {
    let mut spin = Spin::of(path);
    let loads = loads(calibrate(&mut spin));
    let tracer = PlainTracer::new(path);
    let mut all = loads.map(|_| Measured::default());
    for _ in 0..TURNS {
        let before = loads.each_ref().map(|load| measured(&mut spin, load));
        let observed = observed(&mut spin, &loads);
        let after = loads.each_ref().map(|load| measured(&mut spin, load));
        let probes = tracer.enable();
        let plain = loads.each_ref().map(|load| measured(&mut spin, load));
        assert!(probes.hits() > 0, "the plain tracer's probes are not hit");
        drop(probes);
        for (n, (observed, probes)) in observed.into_iter().enumerate() {
            all[n].turns.push(Turn {
                before: before[n],
                observed,
                after: after[n],
                plain: plain[n],
            });
            all[n].probes = Some(probes);
        }
    }
    loads.into_iter().zip(all).collect()
}

/// What stands on goroutines of a program.
fn stands(probes: &Probes) -> &'static str {
    match (probes.exact, probes.batch) {
        (true, _) => "each goroutine",
        (false, true) => "each batch",
        (false, false) => "none",
    }
}

/// The table.
pub(crate) fn table() -> String {
    let mut table = format!(
        "ns per goroutine, medians of {TURNS} turns of {ROUNDS} rounds of {ROUND_MS} ms: \
         unobserved, observed, unobserved, plain entry probes; ratios within each turn, and between \
         its two unobserved measurements (the second lowest and highest). GOMAXPROCS=1, \
         `--probe-budget 1`; each load is observed for {:.1} s before it is measured. CPU-bound: \
         each goroutine computes for 50 us, so that what is added lowers the throughput. Paced: \
         the program sleeps for most of the time. A plain tracer has uprobes on the first \
         instruction of `runtime.newproc1` and of `runtime.gdestroy` (`goexit0` before 1.22).\n\n\
         | Go | load | unobserved | observed | plain entry probes | observed / unobserved | \
         unobserved / itself | plain / unobserved | the observer's probes on goroutines |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        BUDGET_ACTS.as_secs_f64() + 1.5,
    );
    for version in VERSIONS {
        for (load, measured) in measure(&fixture("spin", version, "default")) {
            let (low, high) = measured.noise();
            let _ = writeln!(
                table,
                "| {version} | {} | {:.0} | {:.0} | {:.0} | {:.3} | {low:.3} to {high:.3} | {:.2} | {} |",
                load.name,
                measured.median(Turn::unobserved),
                measured.median(|turn| turn.observed),
                measured.median(|turn| turn.plain),
                measured.median(|turn| turn.observed / turn.unobserved()),
                measured.median(|turn| turn.plain / turn.unobserved()),
                measured.probes.as_ref().map_or("", stands),
            );
        }
    }
    table
}
