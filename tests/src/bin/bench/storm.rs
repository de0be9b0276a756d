//! What a program that does what is probed as fast as it can loses in its worst half
//! second, until its probes have left.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use observer_tests::{
    Observer,
    paths::{self, GO, NEWEST, OLDEST, fixture},
    release,
    spin::{Spin, Storm},
    wait,
};
use tempfile::TempDir;

use crate::{
    bounds::{Bound, Report, Verdict},
    statistics::{median, sorted},
};

const BOUND: Bound = Bound {
    most: 1.25,
    noisiest: 0.25,
};
/// Turns of a case, and at most, where so many do not tell.
const TURNS: usize = 3;
const MOST_TURNS: usize = 7;
const VERSIONS: [&str; 3] = [OLDEST, GO, NEWEST];
/// How long a storm lasts, in milliseconds.
const STORM_MS: u32 = 2_000;
/// Half a second, in the steps that the program tells.
const HALF_SECOND: usize = 50;
/// How long a program stands still before its storm: it is known by then.
const CALM: Duration = Duration::from_millis(2500);
/// The same where nobody is to know it.
const SHORT_CALM: Duration = Duration::from_millis(300);
/// Programs of a burst: more than this machine runs at once.
const BURST: usize = 8;

/// What is known of the file when the storm begins.
#[derive(Clone, Copy)]
enum When {
    /// Nothing: it is inspected while it storms.
    New,
    /// It has run before, and carries every probe.
    Probed,
    /// The program has stood still for a while.
    Calm,
}

impl When {
    const ALL: [Self; 3] = [Self::New, Self::Probed, Self::Calm];

    const fn name(self) -> &'static str {
        match self {
            Self::New => "its first, from its first instruction on",
            Self::Probed => "its second, from its first instruction on",
            Self::Calm => "after a calm",
        }
    }
}

/// What storms, and when.
#[derive(Clone, Copy)]
struct Case {
    storm: Storm,
    /// How many programs at once.
    programs: usize,
    when: When,
}

impl Case {
    /// Goroutines, on one P.
    const fn usual(when: When) -> Self {
        Self::of("goroutines", 1, 1, when)
    }

    const fn of(of: &'static str, processors: u32, programs: usize, when: When) -> Self {
        let storm = Storm {
            of,
            processors,
            milliseconds: STORM_MS,
        };
        Self {
            storm,
            programs,
            when,
        }
    }

    fn name(self) -> String {
        let when = self.when.name();
        match (self.storm.of, self.storm.processors, self.programs) {
            ("goroutines", 1, 1) => when.to_owned(),
            ("goroutines", n, 1) => format!("on {n} Ps, {when}"),
            ("goroutines", _, n) => format!("of {n} programs at once, {when}"),
            (of, ..) => format!("of {of}, {when}"),
        }
    }

    /// Whether so many goroutines are made that probes have to leave.
    fn is_too_much(self) -> bool {
        self.storm.of == "goroutines"
    }

    /// The fewest made in half a second.
    fn worst(self, path: &Path, probed: bool) -> f64 {
        let calm = if probed { CALM } else { SHORT_CALM };
        match self.when {
            When::Probed if probed => {
                // Every probe is set again once nothing runs it.
                let spin = Spin::of(path);
                thread::sleep(calm);
                drop(spin);
                thread::sleep(calm);
            }
            When::New | When::Probed => {}
            When::Calm => {
                let mut spin = self.storm.wait(path);
                thread::sleep(calm);
                return worst_of(&self.storm.begin(&mut spin));
            }
        }
        let storm = self.storm;
        let all: Vec<Vec<f64>> = thread::scope(|scope| {
            let begin = |_| scope.spawn(move || storm.run(path));
            let running: Vec<_> = (0..self.programs).map(begin).collect();
            let made = running.into_iter().map(|it| it.join().expect("its storm"));
            made.collect()
        });
        let together = (0..all[0].len()).map(|n| all.iter().map(|made| made[n]).sum());
        worst_of(&together.collect::<Vec<f64>>())
    }
}

fn worst_of(made: &[f64]) -> f64 {
    let half_seconds = made.windows(HALF_SECOND + 1);
    let made = half_seconds.map(|made| made[HALF_SECOND] - made[0]);
    made.fold(f64::INFINITY, f64::min)
}

/// A copy that nobody has seen, and one like it without probes.
struct Files {
    probed: PathBuf,
    bare: PathBuf,
    _directory: TempDir,
}

impl Files {
    fn new(version: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let original = fixture("spin", version, "default");
        let [probed, bare] = ["probed", "bare"].map(|name| directory.path().join(name));
        fs::copy(&original, &probed).expect("a copy");
        // Of no release that is known, so that no probe is set on it.
        release::renamed(&original, &bare, version, &release::newer(version));
        Self {
            probed,
            bare,
            _directory: directory,
        }
    }
}

/// What is made in the worst half second without probes, and how many times longer it
/// takes with them.
fn turn(observer: &Observer, version: &str, case: Case, n: usize) -> (f64, f64) {
    let files = Files::new(version);
    let (bare, probed) = if n.is_multiple_of(2) {
        let probed = case.worst(&files.probed, true);
        (case.worst(&files.bare, false), probed)
    } else {
        let bare = case.worst(&files.bare, false);
        (bare, case.worst(&files.probed, true))
    };
    // Otherwise nothing was measured.
    let hit = wait::comes_true(Duration::from_secs(5), || {
        let of_it = |path: &str| Path::new(path) == files.probed;
        let all = observer.processes();
        all.iter().any(|it| of_it(&it.exe) && it.probes.hits > 0)
    });
    assert!(hit, "no probe was hit\n{}", observer.log());
    (bare, bare / probed)
}

/// An observer, as one of its settings makes it.
struct Setting {
    name: &'static str,
    setting: Option<(&'static str, &'static str)>,
    cases: Vec<(&'static str, Case)>,
}

/// All that is measured.
fn settings() -> [Setting; 3] {
    use When::{Calm, Probed};
    let usual = |version| When::ALL.map(|when| (version, Case::usual(when)));
    let mut cases: Vec<_> = VERSIONS.into_iter().flat_map(usual).collect();
    cases.extend(
        [
            Case::of("goroutines", 2, 1, When::New),
            Case::of("goroutines", 2, 1, Calm),
            Case::of("stops", 1, 1, Calm),
            Case::of("collections", 1, 1, Calm),
            Case::of("goroutines", 1, BURST, Probed),
        ]
        .map(|case| (GO, case)),
    );
    let calm = || vec![(GO, Case::usual(Calm))];
    [
        Setting {
            name: "",
            setting: None,
            cases,
        },
        Setting {
            name: "`--link perf`: ",
            setting: Some(("OBSERVER_LINK", "perf")),
            cases: calm(),
        },
        Setting {
            name: "`--goroutine-probes always`: ",
            setting: Some(("OBSERVER_GOROUTINE_PROBES", "always")),
            cases: calm(),
        },
    ]
}

fn start(setting: Option<(&str, &str)>) -> Observer {
    let mut command = Command::new(paths::observer());
    for (setting, value) in [
        ("OBSERVER_PROBE_BUDGET", "1"),
        ("OBSERVER_CPU_CEILING", "5"),
        ("OBSERVER_GOROUTINE_PROBES", "auto"),
    ] {
        command.env(setting, value);
    }
    if let Some(link) = std::env::var_os("OBSERVER_LINK") {
        command.env("OBSERVER_LINK", link);
    }
    command.envs(setting);
    let mut observer = Observer::spawn_every(Duration::from_secs(1), command);
    observer.await_ready();
    observer
}

/// The table.
pub(crate) fn table() -> Report {
    let mut report = Report::from(format!(
        "What is made in the worst half second of {} s, GOMAXPROCS=1 unless more Ps are named, \
         under an observer as it is by default unless a setting is named; in {TURNS} turns, each \
         with a new file, and up to {MOST_TURNS} where the machine varies too much. Ratios are to \
         a program of the same code without probes, before or after it under the same observer; \
         \"itself\" is that program in one turn to the next. The median may be {} at most.\n\n\
         | Go | storm | unobserved, a second | unobserved / observed: median | highest | \
         unobserved / itself: highest | bound |\n| --- | --- | --- | --- | --- | --- | --- |\n",
        STORM_MS / 1000,
        BOUND.most,
    ));
    for Setting {
        name,
        setting,
        cases,
    } in settings()
    {
        let observer = start(setting);
        for (version, case) in cases {
            let name = format!("{name}{}", case.name());
            measure(&observer, version, case, &name, &mut report);
        }
        observer.stop();
    }
    report
}

fn measure(
    observer: &Observer,
    version: &'static str,
    case: Case,
    name: &str,
    report: &mut Report,
) {
    let before = gone(observer);
    let (mut turns, mut itself) = (Vec::new(), Vec::new());
    let mut verdict = Verdict::TooNoisy;
    while turns.len() < TURNS || verdict.is_open() && turns.len() < MOST_TURNS {
        turns.push(turn(observer, version, case, turns.len()));
        if let [.., (was, _), (now, _)] = turns[..] {
            itself.push(f64::max(now / was, was / now));
            let ratios: Vec<_> = turns.iter().map(|(_, ratio)| *ratio).collect();
            verdict = BOUND.judge(&ratios, &itself);
        }
    }
    if case.is_too_much() {
        // Otherwise it was no storm. After a calm batches alone may stand, which may take
        // less than is too much at once: such a storm may end before its second is over.
        let least = match case.when {
            When::Calm => 1,
            When::New | When::Probed => turns.len(),
        };
        let told = wait::comes_true(Duration::from_secs(5), || gone(observer) >= before + least);
        assert!(told, "probes did not leave\n{}", observer.log());
    }
    let ratios = sorted(turns.iter().map(|(_, ratio)| *ratio));
    let middle = median(ratios.iter().copied());
    let row = format!(
        "| {} | {name} | {:.0} | {middle:.2} | {:.2} | {:.2} | {verdict} |",
        version,
        2.0 * median(turns.iter().map(|(bare, _)| *bare)),
        ratios[ratios.len() - 1],
        itself.into_iter().fold(1.0, f64::max),
    );
    // It takes minutes in all.
    eprintln!("{row}");
    report.row(&row);
    report.judged(&format!("{version} {name}"), BOUND, middle, verdict);
}

/// How often probes left: for what they took at once, or, where batches alone stood,
/// which are hardly more than that, for what they took in a second.
fn gone(observer: &Observer) -> usize {
    let log = observer.log();
    let left = ["too much at once", "taken off a file"];
    left.map(|words| log.matches(words).count()).iter().sum()
}
