//! An observer under profiles of AppArmor, and under none: what it may not
//! read has AppArmor as its reason, and unconfined it reads all.

use std::{fs, path::Path, process::Command, time::Duration};

use observer_testkit::{Observer, Workload, metrics, paths, wait};

use crate::builds;

/// The profiles as the kernel takes them.
const POLICY: &str = "/apparmor/policy";
/// What a container runtime gives a container that names none.
const DEFAULT: &str = "cri-containerd.apparmor.d";
const FILES_ONLY: &str = "files-only";
/// Until a program that is found by a scan is read.
const READ: Duration = Duration::from_secs(40);

pub(crate) fn run(_: &[String]) {
    let policy = fs::read(POLICY).unwrap_or_else(|e| panic!("{POLICY}: {e}"));
    fs::write("/sys/kernel/security/apparmor/.load", policy)
        .expect("the policy loaded; AppArmor must be on: apparmor=1 security=apparmor");
    // Files of their own, so that a probe on one is not one on the other.
    let files = builds::of("workload", 2);
    let mut inside = Workload::start_as(under(DEFAULT, &files[0]));
    let mut outside = Workload::start(&files[1]);

    let confined = Observer::start_as(under(DEFAULT, &paths::observer()));
    assert_exact(&confined, &mut inside);
    let counted = wait::comes_true(READ, || unreadable(&confined, "apparmor") > 0.0);
    assert!(counted, "{}", confined.get("/metrics"));
    assert!(confined.process(outside.pid).is_none());
    assert!(unreadable(&confined, "permission_denied") < 1.0);
    let ready = confined.get("/readyz");
    for word in ["lacking: freedom from AppArmor's profile", DEFAULT] {
        assert!(ready.contains(word), "{word:?} not in {ready}");
    }
    let log = confined.log();
    let warnings: Vec<_> = log
        .lines()
        .filter(|line| line.contains("missing: "))
        .collect();
    assert_eq!(warnings.len(), 1, "{log}");
    drop(confined);

    let files_only = Observer::start_as(under(FILES_ONLY, &paths::observer()));
    let reason = || {
        let seen = files_only.process(outside.pid)?;
        let state = &seen.coverage["state"];
        state
            .reason
            .clone()
            .filter(|reason| reason != "not_sampled")
    };
    let found = wait::find(READ, reason);
    assert_eq!(found.as_deref(), Some("apparmor"), "{}", files_only.log());
    drop(files_only);

    let free = Observer::start();
    for program in [&mut inside, &mut outside] {
        assert_exact(&free, program);
    }
    assert_eq!(free.get("/readyz"), "ready\n");
    println!("  apparmor is the reason under both profiles, and unconfined all is read");
}

/// A program under a profile.
fn under(profile: &str, program: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg("echo \"exec $0\" > /proc/self/attr/apparmor/exec && exec \"$@\"")
        .arg(profile)
        .arg(program);
    command
}

fn assert_exact(observer: &Observer, program: &mut Workload) {
    program.run("burst 100 0");
    program.run("gc 2");
    let said = program.report();
    let right = || {
        observer.process(program.pid).is_some_and(|seen| {
            seen.coverage["state"].covered
                && seen.figures.goroutines == Some(said.goroutines)
                && seen.figures.ever == Some((said.created, said.exited))
        })
    };
    assert!(
        wait::comes_true(READ, right),
        "{said:?}, seen {:?}, log:\n{}",
        observer.process(program.pid),
        observer.log()
    );
}

fn unreadable(observer: &Observer, reason: &str) -> f64 {
    let label = format!("reason=\"{reason}\"");
    metrics::sum(
        &observer.metrics(),
        "observer_processes_unreadable",
        &[label.as_str()],
    )
    .expect("observer_processes_unreadable")
}
