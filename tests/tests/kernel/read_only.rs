//! The observer writes to no process's memory and to no file: a filter of system calls
//! ends it where it tries.

use std::{
    collections::BTreeMap,
    io,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::Command,
};

use observer_tests::{
    Observer, Workload,
    paths::{self, GO, fixture},
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

use crate::lacks::{assert_calm, assert_state, assert_whole, own_arch};

/// Where the second or third argument asks for a file to be written to. Memory of
/// another process, `/proc/PID/mem`, is written to in no other way by files.
fn for_writing(argument: u8) -> Vec<SeccompRule> {
    let mode = |mode: i32| {
        let only = SeccompCmpOp::MaskedEq(libc::O_ACCMODE as u64);
        let is = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, only, mode as u64);
        is.and_then(|is| SeccompRule::new(vec![is]))
            .expect("a rule")
    };
    vec![mode(libc::O_WRONLY), mode(libc::O_RDWR)]
}

/// Calls that newer architectures have no more.
#[cfg(target_arch = "x86_64")]
fn older_calls() -> BTreeMap<i64, Vec<SeccompRule>> {
    BTreeMap::from([
        (libc::SYS_open, for_writing(1)),
        (libc::SYS_creat, Vec::new()),
    ])
}

#[cfg(not(target_arch = "x86_64"))]
fn older_calls() -> BTreeMap<i64, Vec<SeccompRule>> {
    BTreeMap::new()
}

/// The filter: what it names ends whoever calls it.
fn filter() -> BpfProgram {
    let mut rules = BTreeMap::from([
        (libc::SYS_process_vm_writev, Vec::new()),
        (libc::SYS_ptrace, Vec::new()),
        (libc::SYS_openat, for_writing(2)),
        (libc::SYS_truncate, Vec::new()),
        // What these would do is not in their arguments.
        (libc::SYS_openat2, Vec::new()),
        (libc::SYS_io_uring_enter, Vec::new()),
    ]);
    rules.extend(older_calls());
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::KillProcess,
        own_arch(),
    );
    let filter = filter.and_then(BpfProgram::try_from);
    filter.expect("a filter of system calls")
}

/// A program behind the filter, which its children inherit.
fn filtered(program: &str) -> Command {
    let mut command = Command::new(program);
    let filter = filter();
    // SAFETY: between fork and exec two system calls are made, and nothing is allocated
    // unless one fails.
    unsafe {
        command.pre_exec(move || apply_filter(&filter).map_err(io::Error::other));
    }
    command
}

fn observer() -> Command {
    filtered(&paths::observer().display().to_string())
}

#[test]
fn it_works_where_whoever_writes_is_ended() {
    for (script, signal) in [
        (": < /dev/null", None),
        (": > /dev/null", Some(libc::SIGSYS)),
        (": >> /dev/null", Some(libc::SIGSYS)),
        (": <> /dev/null", Some(libc::SIGSYS)),
    ] {
        let status = filtered("sh").args(["-c", script]).status();
        let status = status.expect("a shell");
        assert_eq!(status.signal(), signal, "{script}: {status}");
    }
    assert_whole(Observer::start_as(observer()), "links as usual");

    let mut command = observer();
    command.env("OBSERVER_LINK", "perf");
    let observer = Observer::start_as(command);
    let mut workload = Workload::start(&fixture("workload", GO, "default"));
    observer.attached(workload.pid);
    assert_state(&observer, &mut workload);
    let walked = format!("/api/v1/processes/{}/goroutines", workload.pid);
    assert!(observer.get(&walked).contains("\"walked\""));
    assert_calm(observer);
    assert!(workload.report().goroutines > 0);
}
