//! The observer needs five capabilities and no more, and says which it lacks.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command, time::Duration};

use observer_tests::{
    Observer, Workload,
    paths::{self, GO, fixture},
    wait,
};
use tempfile::TempDir;

const NEEDED: [&str; 5] = ["bpf", "perfmon", "sys_ptrace", "dac_read_search", "lease"];

/// The observer where any user may run it.
pub(crate) fn readable_copy() -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    fs::copy(paths::observer(), dir.path().join("observer")).expect("a copy of the observer");
    for path in [dir.path(), &dir.path().join("observer")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its mode");
    }
    dir
}

/// The observer as nobody, with these capabilities and no way to get others.
fn as_nobody(dir: &Path, capabilities: &[&str]) -> Command {
    let list = capabilities
        .iter()
        .fold("-all".to_owned(), |list, c| format!("{list},+{c}"));
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--no-new-privs",
    ]);
    for set in ["inh-caps", "ambient-caps", "bounding-set"] {
        command.arg(format!("--{set}={list}"));
    }
    command.arg(dir.join("observer"));
    command
}

#[test]
fn five_capabilities_are_enough() {
    let dir = readable_copy();
    let observer = Observer::start_as(as_nobody(dir.path(), &NEEDED));
    let status =
        fs::read_to_string(format!("/proc/{}/status", observer.pid())).expect("its status");
    assert!(
        status.contains("\nUid:\t65534\t65534\t65534\t65534\n"),
        "{status}"
    );

    let path = fixture("workload", GO, "stripped");
    let mut running = Workload::start(&path);
    observer.attached(running.pid);
    let mut fresh = Workload::start(&path);
    for w in [&mut running, &mut fresh] {
        w.run("burst 300 10");
        w.run("gc 3");
    }
    let said = fresh.report();
    let seen = observer.settled(fresh.pid).figures;
    assert_eq!(
        (
            seen.created,
            seen.exited,
            seen.cycles(),
            seen.pause_total_ns
        ),
        (said.created, said.exited, said.num_gc, said.pause_total_ns),
        "created, exited, cycles, pauses; log:\n{}",
        observer.log()
    );
    let log = observer.log().to_lowercase();
    let named: Vec<_> = NEEDED
        .iter()
        .filter(|c| log.contains(&format!("cap_{c}")))
        .collect();
    assert!(
        named.is_empty(),
        "it lacks nothing, and names {named:?}:\n{log}"
    );
}

#[test]
fn what_is_missing_is_named_at_start() {
    let dir = readable_copy();
    for missing in NEEDED {
        let others: Vec<_> = NEEDED.into_iter().filter(|c| *c != missing).collect();
        let observer = Observer::spawn(as_nobody(dir.path(), &others));
        let name = format!("CAP_{}", missing.to_uppercase());
        let said = wait::comes_true(Duration::from_secs(30), || observer.log().contains(&name));
        assert!(said, "{name} is missing and not named:\n{}", observer.log());
        assert!(!observer.log().contains("panicked"), "{}", observer.log());
    }
}
