//! Every way a Go process comes to be is found.

use std::{
    fs::{self, File},
    io,
    os::fd::AsRawFd,
    path::Path,
    process::{self, Command},
};

use observer_tests::{
    Observer, Process, Workload,
    observer::ATTACH,
    paths::{GO, OLDEST, fixture},
    wait,
};

/// A program that is attached counts exactly from there on.
fn counts_from_now_on(observer: &Observer, pid: u32, w: &mut Workload) {
    let (said, seen) = (w.report(), observer.settled(pid).figures);
    w.run("burst 100 10");
    w.run("gc 2");
    let (said_later, seen_later) = (w.report(), observer.settled(pid).figures);
    assert_eq!(
        (
            seen_later.created - seen.created,
            seen_later.exited - seen.exited,
            seen_later.cycles() - seen.cycles(),
            seen_later.pause_total_ns - seen.pause_total_ns,
        ),
        (
            said_later.created - said.created,
            said_later.exited - said.exited,
            said_later.num_gc - said.num_gc,
            said_later.pause_total_ns - said.pause_total_ns,
        ),
        "created, exited, cycles, pauses"
    );
}

fn find(observer: &Observer, name: &str) -> Process {
    wait::until(name, ATTACH, || {
        observer
            .processes()
            .into_iter()
            .find(|p| p.process == name && !p.ended && p.attached())
    })
}

#[test]
fn a_process_that_already_runs() {
    let mut w = Workload::start(&fixture("workload", GO, "default"));
    let observer = Observer::start();
    let seen = observer.attached(w.pid);
    assert!(!seen.figures.from_start);
    assert_eq!(seen.binary.version, w.version);
    counts_from_now_on(&observer, w.pid, &mut w);
}

#[test]
fn a_deleted_executable() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("gone");
    fs::copy(fixture("workload", GO, "piestripped"), &path).expect("a copy");
    let mut w = Workload::start(&path);
    fs::remove_file(&path).expect("it goes");
    let observer = Observer::start();
    assert_eq!(observer.attached(w.pid).process, "gone");
    counts_from_now_on(&observer, w.pid, &mut w);
}

#[test]
fn an_executable_in_memory_only() {
    let observer = Observer::start();
    let memory = rustix::fs::memfd_create("in-memory", rustix::fs::MemfdFlags::CLOEXEC);
    let mut file = File::from(memory.expect("memfd"));
    let mut source = File::open(fixture("workload", GO, "stripped")).expect("the fixture");
    io::copy(&mut source, &mut file).expect("a copy");
    // Through /proc, since the child closes its own copy before it could use it;
    // and not open for writing, or the kernel says that the file is busy.
    let readable = File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).expect("the copy");
    drop(file);
    let path = format!("/proc/{}/fd/{}", process::id(), readable.as_raw_fd());
    let mut w = Workload::start(Path::new(&path));
    observer.attached(w.pid);
    counts_from_now_on(&observer, w.pid, &mut w);
}

#[test]
fn exec_into_another_program_begins_anew() {
    let observer = Observer::start();
    let (one, two) = (
        fixture("workload", GO, "default"),
        fixture("workload", OLDEST, "stripped"),
    );
    let known = [Workload::start(&one), Workload::start(&two)];
    for w in &known {
        observer.attached(w.pid);
    }
    let mut w = Workload::start(&one);
    w.run("burst 500 0");
    observer.attached(w.pid);
    w.exec(&two);
    w.run("burst 70 0");
    let said = w.report();
    let seen = observer.settled(w.pid);
    assert_eq!(seen.binary.version, format!("go{OLDEST}"));
    assert!(seen.figures.from_start, "{:?}", seen.coverage);
    assert_eq!(
        (seen.figures.created, seen.figures.exited),
        (said.created, said.exited)
    );
    // And into the same program once more.
    w.exec(&two);
    let said = w.report();
    let seen = observer.settled(w.pid);
    assert_eq!(
        (seen.figures.created, seen.figures.exited),
        (said.created, said.exited)
    );
}

#[test]
fn a_pid_namespace() {
    let observer = Observer::start();
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("namespaced");
    fs::copy(fixture("workload", GO, "default"), &path).expect("a copy");
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child"]).arg(&path);
    let mut w = Workload::start_as(command);
    assert_eq!(w.pid, 1, "its own view");
    let seen = find(&observer, "namespaced");
    counts_from_now_on(&observer, seen.pid, &mut w);
}

#[test]
fn a_program_its_own_user_may_not_read() {
    let observer = Observer::start();
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("unreadable");
    fs::copy(fixture("workload", GO, "default"), &path).expect("a copy");
    for (path, mode) in [(dir.path(), "0711"), (&*path, "0111")] {
        assert!(
            Command::new("chmod")
                .arg(mode)
                .arg(path)
                .status()
                .expect("chmod")
                .success()
        );
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&path);
    let mut w = Workload::start_as(command);
    observer.attached(w.pid);
    counts_from_now_on(&observer, w.pid, &mut w);
}
