//! What the observer needs of the machine before it can begin at all. What it
//! can do without is named by `probe::missing`.

use std::{env, fs, io, panic, sync::Mutex, thread};

use anyhow::{Context, Result, bail};
use observer_go::discover;
use observer_node::log;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is open before the first process is looked at, and as many again.
const FEWEST_FILES: u64 = 64;
/// The engine, two inspections, the reaper, the table, the log, two of the async
/// runtime and one for what it runs apart.
const THREADS: usize = 9;

/// Raises the limit of open files, and says which of an observer's needs is not met.
pub(crate) fn check() -> Result<()> {
    check_limits()?;
    fs::metadata("/proc/self/exe")
        .context("no process can be seen: /proc is not there; mount proc on it")?;
    // By the wrong ids the memory of strangers would be read, so nothing may be.
    discover::pid_namespace().context("cannot observe")?;
    Ok(())
}

/// Raises the limit of open files, and says where it, or that of threads, is too low for
/// any server.
pub(crate) fn check_limits() -> Result<()> {
    raise_file_limit()?;
    can_start_threads()
}

/// A panic is a bug: one line that names the place is what a report needs.
/// `RUST_BACKTRACE` brings the usual text back.
pub(crate) fn tell_panics_in_one_line() {
    if env::var_os("RUST_BACKTRACE").is_some() {
        return;
    }
    panic::set_hook(Box::new(|panic| {
        let what = panic.payload_as_str().unwrap_or("it does not say why");
        let place = panic.location().map(ToString::to_string);
        let place = place.unwrap_or_default();
        log::say(&format!(
            "observer: internal error at {place}: {what}; please report it"
        ));
    }));
}

/// Every probed file takes up to three descriptors; the usual soft limit of
/// 1024 would end at some hundred files. Below [`FEWEST_FILES`] nothing works.
fn raise_file_limit() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // Where it cannot be raised, it may do as it is.
    let _ = setrlimit(Resource::Nofile, raised);
    match getrlimit(Resource::Nofile).current {
        Some(files) if files < FEWEST_FILES => bail!(
            "{files} files may be open, which is too few to start: expected {FEWEST_FILES} at \
             least; raise the limit (ulimit -n, or LimitNOFILE= of systemd)"
        ),
        _ => Ok(()),
    }
}

/// Tries as many threads as the observer runs: the async runtime panics where
/// it cannot start its own.
fn can_start_threads() -> Result<()> {
    let gate = Mutex::new(());
    let closed = gate.lock();
    let waits = || drop(gate.lock());
    let tried = thread::scope(|scope| {
        let _closed = closed;
        for _ in 0..THREADS {
            thread::Builder::new().spawn_scoped(scope, waits)?;
        }
        io::Result::Ok(())
    });
    tried.with_context(|| {
        format!(
            "cannot start {THREADS} threads; raise the limit of processes (ulimit -u, or pids.max \
             of the cgroup)"
        )
    })
}
