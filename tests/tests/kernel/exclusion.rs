//! Who is not to be observed carries no breakpoint, not for a moment.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use observer_tests::{
    Observer, Process, Workload,
    metrics::sum,
    observer::ATTACH,
    paths::{self, GO, fixture},
    text, wait,
};

/// Where a figure comes from that only probes tell.
const PAUSES: &str = "gc_pauses";

fn excluding(rules: &str) -> Observer {
    let mut command = Command::new(paths::observer());
    command.env("OBSERVER_EXCLUDE", rules);
    Observer::start_as(command)
}

fn copy(directory: &Path, name: &str) -> PathBuf {
    let path = directory.join(name);
    fs::copy(fixture("workload", GO, "default"), &path).expect("a copy");
    path
}

fn reason(process: &Process, figure: &str) -> Option<String> {
    process.coverage[figure].reason.clone()
}

fn listed(observer: &Observer, pid: u32) -> Process {
    wait::until(&format!("pid {pid} listed"), ATTACH, || {
        observer.process(pid)
    })
}

/// Nothing is known of it but that it is there and why no more.
fn is_left_alone(observer: &Observer, pid: u32, why: &str) {
    let process = listed(observer, pid);
    for (figure, coverage) in &process.coverage {
        assert_eq!(coverage.reason.as_deref(), Some("excluded"), "{figure}");
        let detail = coverage.detail.as_deref().unwrap_or_default();
        assert!(detail.contains(why), "{figure}: {detail}");
    }
    assert_eq!(process.coverage.len(), 14, "all there are");
    assert_eq!(process.figures.goroutines, None);
    assert_eq!(process.figures.ever, None);
    assert_eq!(process.probes.hits, 0);
    let (status, text) = observer
        .try_get(&format!("/api/v1/processes/{pid}/goroutines"))
        .expect("an answer");
    assert_eq!(status, 403, "{text}");
    assert!(text.contains(why), "{text}");
}

#[test]
fn an_excluded_path_never_carries_a_probe() {
    let dir = tempfile::tempdir().expect("a directory");
    let before = copy(dir.path(), "excluded-before");
    let after = copy(dir.path(), "excluded-after");
    let other = copy(dir.path(), "observed");
    let first = Workload::start(&before);
    let rules = format!("path=/nowhere,path={}/excluded-*", dir.path().display());
    let observer = excluding(&rules);
    let seen = Workload::start(&other);
    observer.attached(seen.pid);
    // The means by which it is seen.
    assert_ne!(text::changed(seen.pid), Some(0));
    let mut second = Workload::start(&after);
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        assert_eq!(text::changed(first.pid), Some(0));
        assert_eq!(text::changed(second.pid), Some(0));
    }
    for pid in [first.pid, second.pid] {
        is_left_alone(&observer, pid, "--exclude path=");
    }
    let count = || {
        let labels = ["reason=\"excluded\""];
        sum(&observer.metrics(), "observer_processes_excluded", &labels)
    };
    assert_eq!(count(), Some(2.0));

    // Another program in the same process is another matter, both ways round.
    second.exec(&other);
    observer.attached(second.pid);
    second.run("burst 10 0");
    second.exec(&after);
    wait::until("the excluded program again", ATTACH, || {
        let process = observer.process(second.pid)?;
        (reason(&process, "state")? == "excluded").then_some(())
    });
    is_left_alone(&observer, second.pid, "--exclude path=");
    assert_eq!(text::changed(second.pid), Some(0));
    drop((first, second));
    wait::until("their ends", ATTACH, || {
        (count() == Some(0.0)).then_some(())
    });
}

#[test]
fn a_file_that_an_excluded_process_runs_carries_no_probe_for_anybody() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = copy(dir.path(), "observed");
    let excluded = dir.path().join("excluded");
    fs::hard_link(&file, &excluded).expect("a second name");
    let observer = excluding(&format!("path={}", excluded.display()));
    let mut w = Workload::start(&file);
    observer.attached(w.pid);
    let clean = |pid: u32| text::changed(pid) == Some(0);
    assert!(!clean(w.pid));

    let alone = Workload::start(&excluded);
    wait::until("the probes' leave", ATTACH, || {
        (clean(w.pid) && clean(alone.pid)).then_some(())
    });
    is_left_alone(&observer, alone.pid, "--exclude path=");
    let seen = wait::until("what is left of the other", ATTACH, || {
        let process = observer.process(w.pid)?;
        (reason(&process, PAUSES)? == "excluded").then_some(process)
    });
    assert!(seen.coverage["goroutines"].covered, "from its memory");
    w.run("burst 100 10");
    let said = w.report();
    let seen = observer.settled(w.pid);
    assert_eq!(seen.figures.ever, Some((said.created, said.exited)));

    // Whoever comes next finds none, and brings none.
    let next = [Workload::start(&excluded), Workload::start(&file)];
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        for w in &next {
            assert!(clean(w.pid), "{}", w.pid);
        }
    }
    is_left_alone(&observer, next[0].pid, "--exclude path=");
    wait::until("the other left alone", ATTACH, || {
        let process = observer.process(next[1].pid)?;
        (reason(&process, PAUSES)? == "excluded").then_some(())
    });
}
