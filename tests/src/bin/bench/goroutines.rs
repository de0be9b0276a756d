//! What a goroutine costs a program: unobserved, under the observer once it
//! has settled, and with the probes a plain tracer would set.

use std::{fmt::Write as _, path::Path, process::Command, time::Duration};

use observer_tests::{
    Observer,
    api::Probes,
    paths::{self, GO, NEWEST, OLDEST, fixture, go1},
    release,
    spin::Spin,
    wait,
};
use tempfile::TempDir;

use crate::{statistics::median, tracer::PlainTracer};

/// Rounds of each load, in turns with the same program without probes.
const ROUNDS: usize = 60;
/// And with the plain tracer, which needs no fine distinction.
const PLAIN_ROUNDS: usize = 10;
const ROUND_MS: u32 = 100;
const VERSIONS: [&str; 4] = [OLDEST, go1(22), GO, NEWEST];
/// Goroutines a second of a busy server.
const RATE: u32 = 20_000;
/// How long the budget may take.
const BUDGET_ACTS: Duration = Duration::from_secs(3);
/// How long a load is observed before it is measured.
const SETTLES: Duration = Duration::from_millis(4500);

/// What the program does: how long each goroutine computes.
#[derive(Clone, Copy)]
struct Load {
    name: &'static str,
    work: u32,
}

/// On one P: with more, an unobserved program has several speeds of its own.
fn loads(work: u32) -> [Load; 2] {
    [
        Load {
            name: "20,000 a second",
            work,
        },
        Load {
            name: "as fast as it can",
            work: 0,
        },
    ]
}

/// Turns in a loop that make [`RATE`] goroutines fill a second of one CPU,
/// whoever else uses it.
fn calibrate(spin: &mut Spin) -> u32 {
    const TRIED: u32 = 20_000;
    let each = median((0..9).map(|_| spin.round(200, TRIED).cpu()));
    (f64::from(TRIED) * 1e9 / f64::from(RATE) / each) as u32
}

/// A program, and one alike in every instruction that says it is of a release
/// no observer knows, which gets no probes. A machine gets slower and faster by
/// more than probes cost; between two rounds in a row it hardly does.
struct Pair {
    probed: Spin,
    bare: Spin,
    _directory: TempDir,
}

/// A load in a pair.
#[derive(Clone, Copy)]
struct Measured {
    /// Nanoseconds of a goroutine where probes may be.
    ns: f64,
    /// The same, of what it takes without probes.
    ratio: f64,
}

impl Pair {
    fn start(path: &Path, version: &str, newer: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let bare = directory.path().join("bare");
        release::renamed(path, &bare, version, newer);
        Self {
            probed: Spin::of(path),
            bare: Spin::of(&bare),
            _directory: directory,
        }
    }

    fn measure(&mut self, load: &Load, rounds: usize) -> Measured {
        let round = |spin: &mut Spin| spin.round(ROUND_MS, load.work).elapsed();
        let both = (0..rounds).map(|n| {
            if n.is_multiple_of(2) {
                let probed = round(&mut self.probed);
                (probed, round(&mut self.bare))
            } else {
                let bare = round(&mut self.bare);
                (round(&mut self.probed), bare)
            }
        });
        let both: Vec<_> = both.collect();
        Measured {
            ns: median(both.iter().map(|(probed, _)| *probed)),
            ratio: median(both.iter().map(|(probed, bare)| probed / bare)),
        }
    }

    /// Each load under an observer, once the budget has had the time to act on it.
    fn observed(&mut self, loads: &[Load; 2]) -> [(Measured, Probes); 2] {
        let mut command = Command::new(paths::observer());
        command
            .env("OBSERVER_PROBE_BUDGET", "1")
            .env("OBSERVER_CPU_CEILING", "5")
            .env("OBSERVER_GOROUTINE_PROBES", "auto");
        let mut observer = Observer::spawn_every(Duration::from_secs(1), command);
        observer.await_ready();
        let [pid, bare] = [&self.probed, &self.bare].map(|spin| spin.talk.pid());
        let probes = |pid| observer.process(pid).map(|process| process.probes);
        // A process that sleeps is sampled, too.
        wait::until("batches only", Duration::from_secs(10), || {
            probes(pid).filter(|probes| probes.batch && !probes.exact)
        });
        let all = loads.each_ref().map(|load| {
            let before = probes(pid).map_or(0, |probes| probes.counted.batches);
            let talk = &mut self.probed.talk;
            talk.say(&format!("{} {}", SETTLES.as_millis(), load.work));
            let acted = wait::comes_true(BUDGET_ACTS + Duration::from_secs(1), || {
                probes(pid).is_some_and(|probes| !probes.hot)
            });
            talk.hear();
            assert!(
                acted || load.work > 0,
                "over the budget\n{}",
                observer.log()
            );
            let measured = self.measure(load, ROUNDS);
            let now = probes(pid).expect("it is listed");
            let counted = now.counted.batches > before;
            assert!(counted || !now.batch, "the observer's probes are not hit");
            (measured, now)
        });
        let none = probes(bare).is_none_or(|probes| probes.hits == 0);
        assert!(none, "{:?}", probes(bare));
        observer.stop();
        all
    }
}

/// A load in each way.
struct Row {
    load: Load,
    unobserved: [Measured; 2],
    observed: Measured,
    plain: Measured,
    probes: Probes,
}

fn measure(version: &str, newer: &str) -> Vec<Row> {
    let path = fixture("spin", version, "default");
    let mut pair = Pair::start(&path, version, newer);
    let loads = loads(calibrate(&mut pair.probed));
    let before = loads.each_ref().map(|load| pair.measure(load, ROUNDS));
    let observed = pair.observed(&loads);
    let after = loads.each_ref().map(|load| pair.measure(load, ROUNDS));
    let tracer = PlainTracer::new(&path);
    let probes = tracer.enable();
    let plain = loads
        .each_ref()
        .map(|load| pair.measure(load, PLAIN_ROUNDS));
    assert!(probes.hits() > 0, "the plain tracer's probes are not hit");
    let rows = loads.into_iter().zip(observed).enumerate();
    rows.map(|(n, (load, (observed, probes)))| Row {
        load,
        unobserved: [before[n], after[n]],
        observed,
        plain: plain[n],
        probes,
    })
    .collect()
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
        "ns per goroutine, medians of {ROUNDS} rounds of {ROUND_MS} ms, GOMAXPROCS=1, \
         `--probe-budget 1`; each load is observed for {:.1} s before it is measured. Ratios are to \
         a second process of the same code without probes, of which a round follows each, and to \
         what that ratio is with no observer; \"itself\" is that after, to that before. 20,000 a \
         second: each goroutine computes for 50 us, so that what is added lowers the throughput. A \
         plain tracer has uprobes on the first instruction of `runtime.newproc1` and of \
         `runtime.gdestroy` (`goexit0` before 1.22).\n\n\
         | Go | load | unobserved | observed | plain entry probes | observed / unobserved | \
         unobserved / itself | plain / unobserved | the observer's probes on goroutines |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        SETTLES.as_secs_f64(),
    );
    for version in VERSIONS {
        // What the copy without probes says it is.
        for row in measure(version, &release::newer(version)) {
            let [before, after] = row.unobserved;
            let unobserved = f64::midpoint(before.ratio, after.ratio);
            let _ = writeln!(
                table,
                "| {version} | {} | {:.0} | {:.0} | {:.0} | {:.3} | {:.3} | {:.2} | {} |",
                row.load.name,
                f64::midpoint(before.ns, after.ns),
                row.observed.ns,
                row.plain.ns,
                row.observed.ratio / unobserved,
                after.ratio / before.ratio,
                row.plain.ratio / unobserved,
                stands(&row.probes),
            );
        }
    }
    table
}
