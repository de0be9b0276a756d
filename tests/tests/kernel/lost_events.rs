//! What happens while events are lost is found all the same.

use std::{process::Command, thread, time::Duration};

use observer_tests::{
    Observer, Workload, metrics,
    paths::{GO, fixture, go1},
    wait,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::elf;

/// More programs than the ring buffer has room for.
const PROGRAMS: u32 = 16_000;
/// A sweep, and more on a busy machine.
const SOON: Duration = Duration::from_mins(1);

fn lost(observer: &Observer) -> f64 {
    metrics::sum(&observer.metrics(), "observer_events_lost_total", &[]).unwrap_or_default()
}

#[test]
fn an_exec_that_nobody_told_of() {
    let observer = Observer::start();
    let directory = tempfile::tempdir().expect("a directory");
    let nothing = directory.path().join("nothing");
    elf::write(&nothing, &elf::EXIT, &[0]);
    let (one, other) = (
        fixture("workload", go1(22), "default"),
        fixture("workload", GO, "default"),
    );
    let mut w = Workload::start(&one);
    // It executes its own file again, which has the same identity.
    let mut again = Workload::start(&other);
    observer.attached(w.pid);
    observer.attached(again.pid);
    again.run("burst 500 0");
    let before = wait::until("what it counts first", SOON, || {
        let seen = observer.process(again.pid)?;
        (seen.probes.counted.created >= 500).then_some(seen)
    });
    assert!(lost(&observer) < 1.0);

    let signal = |signal| {
        let pid = Pid::from_raw(observer.pid() as i32).expect("its id");
        kill_process(pid, signal).expect("a signal");
    };
    signal(Signal::STOP);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..PROGRAMS / 2 {
                    let status = Command::new(&nothing).status();
                    assert!(status.expect("it runs").success());
                }
            });
        }
    });
    w.exec(&other);
    again.exec(&other);
    signal(Signal::CONT);

    let seen = wait::until("the other program", SOON, || {
        let seen = observer.process(w.pid)?;
        (seen.binary.version == w.version && seen.attached()).then_some(seen)
    });
    let some = wait::comes_true(SOON, || lost(&observer) > 0.0);
    assert!(some, "no event was lost");
    assert!(seen.exe.contains(GO), "{}", seen.exe);
    for w in [&mut w, &mut again] {
        w.run("burst 30 0");
        let said = w.report();
        wait::until("what it counts itself", SOON, || {
            let ever = observer.process(w.pid)?.figures.ever;
            (ever == Some((said.created, said.exited))).then_some(())
        });
    }
    let after = observer.process(again.pid).expect("it is there");
    assert!(
        after.probes.counted.created < before.probes.counted.created,
        "counted for the program before: {:?}, {:?}",
        before.probes.counted,
        after.probes.counted
    );
}
