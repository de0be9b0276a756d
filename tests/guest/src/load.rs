//! Programs that create goroutines and force collections without a pause, and
//! neighbours that take the processors from them.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

use observer_testkit::Workload;

/// What a program does in turn.
const TURN: [&str; 4] = ["burst 500 0", "gc 1", "burst 500 0", "readmem 1"];
/// What it has been told and has not done: it never waits for the next.
const AHEAD: usize = 8;

/// Starts a workload that has more Ps than there are processors.
pub(crate) fn oversubscribed(file: &Path) -> Workload {
    let mut command = Command::new(file);
    command.env("GOMAXPROCS", "8");
    Workload::start_as(command)
}

/// Keeps a program at it until a flag is set; what it began it finishes.
pub(crate) fn until(program: &mut Workload, stop: &AtomicBool) {
    let mut turn = TURN.iter().cycle();
    let mut begun = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        if begun.len() == AHEAD {
            program.finish(begun.remove(0));
        }
        let next = turn.next().copied().unwrap_or_default();
        program.begin(next);
        begun.push(next);
    }
    for command in begun {
        program.finish(command);
    }
}

/// Sets the flag when dropped, so that a panic ends the load too.
pub(crate) struct Stop<'a>(pub(crate) &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Shells that loop. Killed when dropped.
pub(crate) struct Neighbours(Vec<Child>);

impl Neighbours {
    pub(crate) fn start(number: usize) -> Self {
        let busy = || {
            Command::new("sh")
                .args(["-c", "while :; do :; done"])
                .stdin(Stdio::null())
                .spawn()
                .expect("a shell")
        };
        Self((0..number).map(|_| busy()).collect())
    }
}

impl Drop for Neighbours {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
