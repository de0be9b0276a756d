//! A machine that lacks something: the observer starts, reads state exactly,
//! and says in one line what is missing and what that costs.

use std::{
    collections::BTreeMap,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use observer_tests::{
    Observer, Workload,
    paths::{self, GO, fixture},
    wait,
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};

use crate::capabilities::readable_copy;

/// More than this in a line is a dump, not a message.
const LONGEST: usize = 700;

/// The observer in a mount namespace of its own, after a script.
fn after(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation=private", "sh", "-ec"]);
    command.arg(format!("{script}\nexec \"$@\""));
    command.arg("sh").arg(paths::observer());
    command
}

/// The architecture whose system calls filters are about.
pub(crate) fn own_arch() -> TargetArch {
    let arch = TargetArch::try_from(std::env::consts::ARCH);
    arch.expect("an architecture that seccompiler knows")
}

/// Starts it where `bpf` fails with this error, as under a container runtime's
/// filter (EPERM) or in a kernel without it (ENOSYS).
fn without_bpf(errno: i32) -> Observer {
    let filter = SeccompFilter::new(
        BTreeMap::from([(libc::SYS_bpf, Vec::new())]),
        SeccompAction::Allow,
        SeccompAction::Errno(errno as u32),
        own_arch(),
    );
    let filter = filter
        .and_then(BpfProgram::try_from)
        .expect("a filter of system calls");
    // The filter is the thread's and its children's, so a thread of its own.
    thread::scope(|scope| {
        let start = || {
            apply_filter(&filter).expect("the filter applied");
            Observer::start()
        };
        scope.spawn(start).join().expect("the observer")
    })
}

fn warnings(log: &str) -> Vec<&str> {
    log.lines()
        .filter(|line| line.contains(" WARN ") || line.contains(" ERROR "))
        .collect()
}

/// Whatever lacks: no panic, no backtrace, no dump, a good end.
pub(crate) fn assert_calm(observer: Observer) {
    let log = observer.log();
    for sign in ["panicked", "internal error", "backtrace", "RUST_BACKTRACE"] {
        assert!(!log.contains(sign), "{sign:?} in the log:\n{log}");
    }
    let longest = log.lines().map(str::len).max().unwrap_or(0);
    assert!(longest < LONGEST, "a line of {longest} bytes:\n{log}");
    let (status, _) = observer.stop();
    assert!(status.success(), "{status}:\n{log}");
}

/// What a program says of itself is what the observer reads from its memory.
pub(crate) fn assert_state(observer: &Observer, workload: &mut Workload) {
    workload.run("hold 30");
    workload.run("burst 200 0");
    workload.run("gc 2");
    let said = workload.report();
    let right = || {
        observer.process(workload.pid).is_some_and(|seen| {
            seen.coverage["state"].covered
                && seen.figures.goroutines == Some(said.goroutines)
                && seen.figures.ever == Some((said.created, said.exited))
        })
    };
    // Without events a new process is found by the next scan.
    assert!(
        wait::comes_true(Duration::from_secs(20), right),
        "{said:?}, seen {:?}; log:\n{}",
        observer.process(workload.pid),
        observer.log()
    );
}

/// State is exact, and one line says what is missing and what that costs.
fn assert_state_only(observer: Observer, name: &str, missing: &[&str]) {
    let mut workload = Workload::start(&fixture("workload", GO, "default"));
    assert_state(&observer, &mut workload);
    let seen = observer.process(workload.pid).expect("the program");
    let reason = seen.coverage["gc_cycles"].reason.clone();
    assert_eq!(reason.as_deref(), Some("no_ebpf"), "{name}");
    let log = observer.log();
    let said = warnings(&log);
    let costs = "what only probes tell is lost";
    assert_eq!(said.len(), 1, "{name}: {said:#?}");
    for word in missing.iter().chain(&[costs]) {
        assert!(said[0].contains(word), "{name}: {word:?} not in {said:?}");
    }
    let ready = observer.get("/readyz");
    assert_eq!(ready.lines().count(), 2, "{name}: {ready}");
    assert_calm(observer);
}

/// Nothing lacks: probes stand, and nothing is said.
pub(crate) fn assert_whole(observer: Observer, name: &str) {
    let mut workload = Workload::start(&fixture("workload", GO, "default"));
    observer.attached(workload.pid);
    assert_state(&observer, &mut workload);
    let log = observer.log();
    assert_eq!(warnings(&log), Vec::<&str>::new(), "{name}");
    assert_eq!(observer.get("/readyz"), "ready\n", "{name}");
    assert_calm(observer);
}

#[test]
fn a_kernel_without_types_or_a_missing_sys() {
    for (name, hide) in [("BTF", "/sys/kernel/btf"), ("/sys", "/sys")] {
        let observer = Observer::start_as(after(&format!("mount -t tmpfs none {hide}")));
        assert_state_only(observer, name, &["missing: BTF", "/sys/kernel/btf/vmlinux"]);
    }
}

#[test]
fn a_kernel_without_bpf_and_a_filter_that_refuses_it() {
    let refused = without_bpf(libc::EPERM);
    assert_state_only(refused, "EPERM", &["missing: bpf()", "seccomp"]);
    let absent = without_bpf(libc::ENOSYS);
    assert_state_only(absent, "ENOSYS", &["missing: bpf()", "CONFIG_BPF_SYSCALL"]);
}

/// Nobody tells of it, so that all of /proc is looked through each second.
#[test]
fn without_events_a_new_program_is_found_within_a_second_or_so() {
    let observer = without_bpf(libc::EPERM);
    let path = fixture("workload", GO, "default");
    let mut took: Vec<_> = (0..5)
        .map(|_| {
            let workload = Workload::start(&path);
            let began = Instant::now();
            wait::until("a new program", Duration::from_secs(15), || {
                observer.process(workload.pid)
            });
            began.elapsed()
        })
        .collect();
    took.sort();
    // And once more until it is published.
    let most = wait::patient(Duration::from_millis(1500));
    assert!(took[2] < most, "{took:?}\n{}", observer.log());
    assert_calm(observer);
}

#[test]
fn what_is_not_needed_may_be_missing() {
    let no_tracefs = "for d in /sys/kernel/tracing /sys/kernel/debug; do
        if [ -d $d ]; then mount -t tmpfs none $d; fi
    done";
    assert_whole(Observer::start_as(after(no_tracefs)), "no tracefs");
    let read_only = "for d in $(sed -n 's,^[^ ]* \\(/sys/fs/cgroup[^ ]*\\) cgroup2\\? .*,\\1,p' /proc/mounts); do
        mount -o remount,ro,bind $d
    done";
    assert_whole(Observer::start_as(after(read_only)), "cgroups read-only");
    let mut locked = Command::new("prlimit");
    locked.arg("--memlock=0:0").arg(paths::observer());
    assert_whole(Observer::start_as(locked), "no memory may be locked");
    // Processes of others are hidden, but not from CAP_SYS_PTRACE.
    let hidden = "mount -t proc -o hidepid=2 proc /proc";
    assert_whole(Observer::start_as(after(hidden)), "hidepid=2");
}

#[test]
fn too_few_files_or_threads_are_told_in_one_line() {
    let observer = readable_copy();
    let limits = [("--nofile=8:8", "8 files"), ("--nproc=1:1", "threads")];
    let commands = [
        &["node", "--listen", "127.0.0.1:0"][..],
        &["adapter", "--listen", "127.0.0.1:0"],
        &["top"],
    ];
    for (arguments, (limit, missing)) in commands
        .into_iter()
        .flat_map(|arguments| limits.map(|limit| (arguments, limit)))
    {
        // Limits bind who has no capability to pass them.
        let mut command = Command::new("prlimit");
        command
            .arg(limit)
            .args(["setpriv", "--reuid=65534", "--regid=65534"])
            .args(["--clear-groups", "--bounding-set=-all"])
            .arg(observer.path().join("observer"))
            .args(arguments);
        let output = command
            .output()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{command:?}: {said}");
        assert!(
            said.starts_with("observer: ") && said.contains(missing),
            "{command:?}: {said}"
        );
    }
}

#[test]
fn few_files_cost_coverage_and_no_panic() {
    let mut command = Command::new("prlimit");
    command.arg("--nofile=64:64").arg("setpriv");
    command.args(["--bounding-set=-sys_resource", "--inh-caps=-sys_resource"]);
    command.arg(paths::observer());
    let observer = Observer::start_as(command);
    let programs: Vec<_> = paths::VERSIONS
        .into_iter()
        .flat_map(|version| paths::VARIANTS.map(|variant| fixture("workload", version, variant)))
        .map(|path| Workload::start(&path))
        .collect();
    let too_few = wait::comes_true(Duration::from_secs(30), || {
        observer.log().contains("os error 24")
    });
    assert!(too_few, "they were enough:\n{}", observer.log());
    // Answers come as soon as a client has room to ask.
    let served = wait::comes_true(Duration::from_secs(30), || {
        observer
            .try_get("/healthz")
            .is_some_and(|(status, _)| status == 200)
    });
    assert!(served, "{}", observer.log());
    drop(programs);
    assert_calm(observer);
}
