//! What a program that creates goroutines as fast as it can loses in its worst half
//! second, until its probes have left.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use observer_tests::{
    Observer,
    paths::{self, fixture},
    release,
    spin::Spin,
    wait,
};
use tempfile::TempDir;

use crate::statistics::sorted;

const TURNS: usize = 3;
/// Releases, and what their copies without probes say they are.
const VERSIONS: [(&str, &str); 3] = [
    ("1.17.13", "1.28.13"),
    ("1.26.8", "1.28.8"),
    ("1.27.4", "1.28.4"),
];
/// How long a storm lasts, in milliseconds.
const STORM_MS: u32 = 2_000;
/// Half a second, in the steps that the program tells.
const HALF_SECOND: usize = 50;
/// How long a program stands still before its storm: it is known by then.
const CALM: Duration = Duration::from_millis(2500);

/// What is known of the file when the storm begins.
#[derive(Clone, Copy)]
enum Case {
    /// Nothing: it is inspected while it storms.
    New,
    /// It has run before, and carries every probe.
    Probed,
    /// The program has stood still for a while.
    Calm,
}

impl Case {
    const ALL: [Self; 3] = [Self::New, Self::Probed, Self::Calm];

    const fn name(self) -> &'static str {
        match self {
            Self::New => "its first, from its first instruction on",
            Self::Probed => "its second, from its first instruction on",
            Self::Calm => "after a calm",
        }
    }

    /// The fewest goroutines made in half a second.
    fn worst(self, path: &Path) -> f64 {
        match self {
            Self::New => {}
            Self::Probed => {
                // Every probe is set again once nothing runs it.
                let spin = Spin::of(path);
                thread::sleep(CALM);
                drop(spin);
                thread::sleep(CALM);
            }
            Self::Calm => {
                let mut spin = Spin::of(path);
                thread::sleep(CALM);
                return worst_of(&spin.storm_now(STORM_MS));
            }
        }
        worst_of(&Spin::storm(path, STORM_MS))
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
    fn new((version, newer): (&str, &str)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let original = fixture("spin", version, "default");
        let [probed, bare] = ["probed", "bare"].map(|name| directory.path().join(name));
        fs::copy(&original, &probed).expect("a copy");
        release::renamed(&original, &bare, version, newer);
        Self {
            probed,
            bare,
            _directory: directory,
        }
    }
}

/// Goroutines in the worst half second without probes, and how many times longer
/// they take with them.
fn turn(version: (&str, &str), case: Case, n: usize) -> (f64, f64) {
    let files = Files::new(version);
    let (bare, probed) = if n.is_multiple_of(2) {
        let probed = case.worst(&files.probed);
        (case.worst(&files.bare), probed)
    } else {
        let bare = case.worst(&files.bare);
        (bare, case.worst(&files.probed))
    };
    (bare, bare / probed)
}

/// The table.
pub(crate) fn table() -> String {
    let mut table = format!(
        "Goroutines in the worst half second of {} s, GOMAXPROCS=1, under an observer as it is by \
         default; in {TURNS} turns, each with a new file. Ratios are to a program of the same \
         code without probes, before or after it under the same observer; \"itself\" is that \
         program in one turn to the next.\n\n\
         | Go | storm | unobserved, a second | unobserved / observed: median | highest | \
         unobserved / itself: highest |\n| --- | --- | --- | --- | --- | --- |\n",
        STORM_MS / 1000,
    );
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
    let mut observer = Observer::spawn_every(Duration::from_secs(1), command);
    observer.await_ready();
    for version in VERSIONS {
        for case in Case::ALL {
            let before = gone(&observer);
            let turns: Vec<_> = (0..TURNS).map(|n| turn(version, case, n)).collect();
            // Otherwise nothing was measured.
            let told =
                wait::comes_true(Duration::from_secs(5), || gone(&observer) >= before + TURNS);
            assert!(told, "probes did not leave\n{}", observer.log());
            let bare = sorted(turns.iter().map(|(bare, _)| *bare));
            let ratios = sorted(turns.iter().map(|(_, ratio)| *ratio));
            let itself = turns.windows(2).map(|pair| pair[0].0 / pair[1].0);
            let itself = itself.map(|ratio| ratio.max(1.0 / ratio));
            let row = format!(
                "| {} | {} | {:.0} | {:.2} | {:.2} | {:.2} |",
                version.0,
                case.name(),
                2.0 * bare[bare.len() / 2],
                ratios[ratios.len() / 2],
                ratios[ratios.len() - 1],
                itself.fold(1.0, f64::max),
            );
            // It takes minutes in all.
            eprintln!("{row}");
            let _ = writeln!(table, "{row}");
        }
    }
    observer.stop();
    table
}

/// How often probes left: for what they took at once, or, where batches alone stood,
/// which are hardly more than that, for what they took in a second.
fn gone(observer: &Observer) -> usize {
    let log = observer.log();
    let left = ["too much at once", "taken off a file"];
    left.map(|words| log.matches(words).count()).iter().sum()
}
