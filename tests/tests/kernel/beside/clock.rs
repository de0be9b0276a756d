//! The machine's clock is set while the observer is at work. The real one is
//! everybody's, so `libfaketime` sets that of the observer alone: of all that it
//! asks for the time of day, as `date --set` would.

use std::{fs, path::Path, process::Command};

use observer_tests::{
    Observer, Workload, metrics,
    observer::ATTACH,
    paths::{self, GO, fixture},
    wait,
};
use serde_json::Value;

const LIBRARY: &str = "faketime/libfaketime.so.1";
const HOUR: f64 = 3600.0;

/// The observer with a clock of its own, so far ahead of the machine's as the file says.
fn with_clock(ahead: &Path) -> Observer {
    let of_debian = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let library = [of_debian.as_str(), "/usr/lib64", "/usr/lib"]
        .map(|directory| Path::new(directory).join(LIBRARY))
        .into_iter()
        .find(|path| path.exists())
        .expect("libfaketime; `cargo xtask test` installs the package faketime");
    let mut command = Command::new(paths::dynamic_observer());
    command
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", ahead)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("OBSERVER_GOROUTINE_PROBES", "auto");
    Observer::start_as(command)
}

/// When the observer thinks that it took its last snapshot.
fn taken(observer: &Observer) -> f64 {
    let samples = observer.metrics();
    metrics::sum(&samples, "observer_snapshot_timestamp_seconds", &[]).expect("a snapshot's time")
}

fn now() -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.expect("a time after 1970").as_secs_f64()
}

fn created(observer: &Observer, pid: u32) -> Option<u64> {
    observer
        .process(pid)?
        .figures
        .ever
        .map(|(created, _)| created)
}

#[test]
fn a_step_of_the_clock_changes_no_figure() {
    let directory = tempfile::tempdir().expect("a directory");
    let ahead = directory.path().join("ahead");
    fs::write(&ahead, "+0").expect("the offset");
    let mut work = Workload::start(&fixture("workload", GO, "default"));
    let observer = with_clock(&ahead);
    let mut before = wait::until("the figures", ATTACH, || created(&observer, work.pid));
    for (offset, by) in [("+3600", HOUR), ("-7200", -2.0 * HOUR), ("+0", 0.0)] {
        fs::write(&ahead, offset).expect("the offset");
        // The clock that the observer asks has been set.
        let step = wait::comes_true(ATTACH, || (taken(&observer) - now() - by).abs() < 60.0);
        assert!(
            step,
            "{offset}: a snapshot of {}, now {}",
            taken(&observer),
            now()
        );
        // It goes on: what happens after the step is seen, and exactly.
        work.run("burst 500 0");
        work.run("gc 2");
        let report = work.report();
        assert!(report.created >= before + 500, "{report:?}");
        wait::until(&format!("figures at {offset}"), ATTACH, || {
            let samples = observer.metrics();
            let pid = format!("pid=\"{}\"", work.pid);
            let cycles = metrics::sum(&samples, "go_gc_cycles_total_gc_cycles_total", &[&pid]);
            let seen = observer.process(work.pid)?;
            let created = seen.figures.ever.map(|(created, _)| created);
            (created == Some(report.created)
                && seen.figures.goroutines == Some(report.goroutines)
                && cycles == Some(report.num_gc as f64)
                && !seen.ended)
                .then_some(())
        });
        before = report.created;
    }
    // What has ended is forgotten by a clock that nobody sets.
    let pid = work.pid;
    drop(work);
    let ended = || observer.process(pid).is_none_or(|process| process.ended);
    assert!(wait::comes_true(ATTACH, ended));
    let ready: (u16, String) = observer.try_get("/readyz").expect("an answer");
    assert_eq!(ready.0, 200, "{}", ready.1);
    let _: Value = serde_json::from_str(&observer.get("/api/v1/processes")).expect("JSON");
}
