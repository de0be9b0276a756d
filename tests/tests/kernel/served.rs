//! Executables on a file system that a program serves, which may fail or never answer.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command},
    time::Duration,
};

use observer_tests::{
    Observer, Workload,
    fuse::{Manner, Served},
    observer::ATTACH,
    paths::{self, GO, NEWEST, fixture, go1},
    wait,
};
use rustix::{
    fs::{Advice, fadvise},
    process::{Pid, Signal, kill_process},
};

use crate::{
    cgroups::{Hierarchy, within},
    planes::{LEAVE, auto},
};

/// A look at everything that runs comes every half minute, and later on a busy machine.
const SOON: Duration = Duration::from_mins(2);

struct Running(Child);

impl Running {
    fn of(served: &Served) -> Self {
        Self(Command::new(served.file()).spawn().expect("it runs"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn idle() -> Vec<u8> {
    fs::read(fixture("idle", GO, "default")).expect("the fixture")
}

/// A program of another cgroup is attached, and its figures are right.
fn others_are_seen(observer: &Observer, cgroup: &Path, version: &str) {
    let mut command = within(cgroup, &[]);
    command.arg(fixture("workload", version, "default"));
    let mut w = Workload::start_as(command);
    observer.attached(w.pid);
    w.run("burst 100 0");
    let said = w.report();
    wait::until("the figures of another", ATTACH, || {
        let ever = observer.process(w.pid)?.figures.ever;
        (ever == Some((said.created, said.exited))).then_some(())
    });
}

#[test]
fn a_server_that_answers_no_more_holds_up_nobody() {
    let observer = Observer::start();
    let hierarchy = Hierarchy::mount();
    let good = hierarchy.make("good");
    others_are_seen(&observer, &good, GO);
    // As the kernel begins a program before the observer looks at it, the files fall
    // silent at different moments of the look.
    let mut all = Vec::new();
    for n in 0..12 {
        let served = Served::mount(idle());
        let running = Running::of(&served);
        std::thread::sleep(Duration::from_millis(n / 3));
        served.be(Manner::Silent);
        all.push((running, served));
    }
    for version in [go1(20), go1(22), NEWEST] {
        others_are_seen(&observer, &good, version);
    }
    // The end of the observer does not wait for them either. The kernel does, where a thread
    // has one of these files open: it asks the server as it closes the file.
    let took = observer.end_all_but_waiting_threads();
    assert!(took < ATTACH, "{took:?}");
    drop(all);
    let (status, _) = observer.stop();
    assert!(status.success(), "{status}");
}

/// When the figures were taken that are shown now.
fn taken(observer: &Observer) -> f64 {
    let name = "observer_snapshot_timestamp_seconds";
    observer.metrics().value(name, &[]).expect("its time")
}

/// Before probes leave a file, the observer looks for debuggers on what runs it. No probe
/// was ever hit in a program on FUSE, so each such look is at that program's file too.
#[test]
fn probes_come_and_go_elsewhere_while_a_server_is_silent() {
    let observer = auto();
    let mut neighbour = Workload::start(&fixture("workload", GO, "default"));
    observer.attached(neighbour.pid);
    let served = Served::mount(idle());
    let running = Running::of(&served);
    let pid = running.0.id();
    let why = || {
        let seen = observer.process(pid)?.coverage;
        seen.get("gc_cycles")?.reason.clone()
    };
    let why = wait::until("the program on FUSE", ATTACH, why);
    assert_eq!(why, "unguarded", "{}", observer.log());
    served.be(Manner::Silent);
    // What the kernel remembers of the file is old by then: whoever asks for it as it is
    // now waits for the server.
    std::thread::sleep(Duration::from_millis(1500));

    // Each begins with probes on every goroutine, which leave once it has been sampled.
    for version in [go1(22), NEWEST] {
        let other = Workload::start(&fixture("workload", version, "default"));
        observer.attached(other.pid);
        wait::until("probes on goroutines to leave", LEAVE, || {
            let seen = observer.process(other.pid)?;
            (!seen.probes.exact).then_some(())
        });
    }
    neighbour.run("burst 100 0");
    let said = neighbour.report();
    wait::until("the neighbour's figures", ATTACH, || {
        let ever = observer.process(neighbour.pid)?.figures.ever;
        (ever == Some((said.created, said.exited))).then_some(())
    });
    let before = taken(&observer);
    let goes_on = || taken(&observer) > before;
    assert!(wait::comes_true(ATTACH, goes_on), "{}", observer.log());
    let (status, took) = observer.stop();
    assert!(status.success() && took < ATTACH, "{status} after {took:?}");
}

#[test]
fn a_file_that_failed_once_is_looked_at_again() {
    let mut command = Command::new(paths::observer());
    command.env("OBSERVER_FULL_SWEEP", "4s");
    let observer = Observer::start_as(command);
    let served = Served::mount(idle());
    let signal = |signal| {
        let pid = Pid::from_raw(observer.pid() as i32).expect("its id");
        kill_process(pid, signal).expect("a signal");
    };
    signal(Signal::STOP);
    let mut running = Running::of(&served);
    let pid = running.0.id();
    // Its name is that of the file from the exec on. Then it sleeps, and not for a page
    // of the file: it would end by what is to fail.
    let rests = || {
        let of = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).expect("it runs");
        of("stat").contains("(file) S") && !of("wchan").contains("request")
    };
    let rested = || {
        (0..20).all(|_| {
            std::thread::sleep(Duration::from_millis(25));
            rests()
        })
    };
    assert!(wait::comes_true(ATTACH, rested), "it does not begin");
    // Of what the program itself does not use nothing is kept in memory.
    let file = File::open(served.file()).expect("the file");
    fadvise(&file, 0, None, Advice::DontNeed).expect("advice");
    served.be(Manner::Failing);
    signal(Signal::CONT);
    let failed = || observer.log().contains("failed to inspect executable");
    assert!(wait::comes_true(SOON, failed), "{}", observer.log());
    assert!(
        running.0.try_wait().expect("its state").is_none(),
        "it ended"
    );
    assert!(observer.process(pid).is_none());
    served.be(Manner::Right);
    wait::until("the file looked at again", SOON, || observer.process(pid));
}
