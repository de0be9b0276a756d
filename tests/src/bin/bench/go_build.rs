//! What observing a build costs: the toolchain is itself of Go programs, of which a
//! build from an empty cache runs hundreds, each for a moment.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use observer_tests::{
    Observer,
    paths::{self, GO},
};

use crate::{
    bounds::{Bound, Report, noise},
    statistics::{median, sorted},
};

const PAIRS: usize = 10;
/// For the time that a build takes, as whoever waits for it sees it.
const BOUND: Bound = Bound {
    most: 1.01,
    noisiest: 0.05,
};
const SERVER: &str = r#"package main

import (
	"fmt"
	"net/http"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })
	panic(http.ListenAndServe("localhost:8080", nil))
}
"#;

/// Seconds of a build.
#[derive(Clone, Copy)]
struct Build {
    elapsed: f64,
    /// Of CPU, of all that it ran.
    cpu: f64,
}

type Seconds = fn(&Build) -> f64;

/// Builds the server, with nothing built before.
fn build(module: &Path) -> Build {
    let cache = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(paths::go(GO).join("bin/go"));
    command
        .args(["build", "-o", "/dev/null", "."])
        .current_dir(module)
        .env("GOCACHE", cache.path())
        .env("GOTOOLCHAIN", "local")
        .env("GOENV", "off")
        .env("GOFLAGS", "")
        .env("CGO_ENABLED", "0");
    let before = children_cpu();
    let began = Instant::now();
    let output = command.output().expect("go runs");
    let elapsed = began.elapsed().as_secs_f64();
    assert!(output.status.success(), "{output:?}");
    Build {
        elapsed,
        cpu: children_cpu() - before,
    }
}

/// Seconds of CPU that all children took that were waited for, and theirs.
fn children_cpu() -> f64 {
    // SAFETY: of integers only, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: a pointer to a live variable of the type asked for.
    let got = unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
    assert_eq!(got, 0, "{}", std::io::Error::last_os_error());
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

fn observed(module: &Path) -> Build {
    let mut command = Command::new(paths::observer());
    command
        .env("OBSERVER_PROBE_BUDGET", "1")
        .env("OBSERVER_CPU_CEILING", "5")
        .env("OBSERVER_GOROUTINE_PROBES", "auto");
    let mut observer = Observer::spawn_every(Duration::from_secs(1), command);
    observer.await_ready();
    let build = build(module);
    let seen = observer.processes();
    let compilers = seen.iter().filter(|p| p.process == "compile").count();
    assert!(compilers > 10, "{compilers} compilers were seen");
    observer.stop();
    build
}

/// The table.
pub(crate) fn table() -> Report {
    let module = tempfile::tempdir().expect("a directory");
    fs::write(module.path().join("main.go"), SERVER).expect("a file");
    fs::write(module.path().join("go.mod"), "module server\n").expect("a file");
    // The toolchain's files are in memory from here on.
    build(module.path());
    let pairs: Vec<_> = (0..PAIRS)
        .map(|n| {
            if n.is_multiple_of(2) {
                let observed = observed(module.path());
                (build(module.path()), observed)
            } else {
                let bare = build(module.path());
                (bare, observed(module.path()))
            }
        })
        .collect();
    let mut report = Report::from(format!(
        "`go build` (Go {GO}) of a server of net/http from an empty cache, in {PAIRS} pairs: \
         once with an observer as it is by default, once without, in turns. \"Itself\" is one \
         build without to the next; the noise is how far the median of {PAIRS} may be off by \
         that. The time may be {} times as long at most.\n\n\
         | seconds | unobserved, median | observed, median | observed / unobserved, median | \
         lowest to highest | unobserved / itself: highest | noise |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
        BOUND.most,
    ));
    let rows: [(&str, Seconds, Option<Bound>); 2] = [
        (
            "from its start to its end",
            |build| build.elapsed,
            Some(BOUND),
        ),
        ("of CPU, of all that it runs", |build| build.cpu, None),
    ];
    for (name, of, bound) in rows {
        let ratios = sorted(pairs.iter().map(|(bare, seen)| of(seen) / of(bare)));
        let next = pairs.windows(2).map(|two| of(&two[0].0) / of(&two[1].0));
        let itself: Vec<_> = next.map(|ratio| ratio.max(1.0 / ratio)).collect();
        let middle = median(ratios.iter().copied());
        report.row(&format!(
            "| {name} | {:.2} | {:.2} | {middle:.3} | {:.3} to {:.3} | {:.3} | {:.3} |",
            median(pairs.iter().map(|(bare, _)| of(bare))),
            median(pairs.iter().map(|(_, seen)| of(seen))),
            ratios[0],
            ratios[ratios.len() - 1],
            itself.iter().copied().fold(1.0, f64::max),
            noise(PAIRS, &itself),
        ));
        if let Some(bound) = bound {
            report.judged(name, bound, middle, bound.judge(&ratios, &itself));
        }
    }
    report
}
