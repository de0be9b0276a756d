//! A debugger is on a program with probes, with a breakpoint where a probe stands. It
//! keeps what it found there and writes that back: were the probe's breakpoint in it,
//! and the probe gone by then, the program would die of SIGTRAP.

use std::{process::Command, time::Duration};

use observer_tests::{
    Observer,
    observer::{Site, changed, sites},
    paths::{GO, fixture, observer},
    spin::Spin,
    wait,
    workload::Conversation,
};
use rustix::process::{Pid, Signal, kill_process};

/// Each takes its time to read what it debugs.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
enum Debugger {
    Gdb,
    Delve,
}

/// A debugger on a process, which stands still as long as it is not told to go on.
struct Session {
    talk: Conversation,
    debugger: Debugger,
}

impl Session {
    fn on(debugger: Debugger, pid: u32) -> Self {
        let command = match debugger {
            Debugger::Gdb => {
                let mut command = Command::new("gdb");
                command.args(["--quiet", "--nx", "-iex", "set auto-load no"]);
                for setting in [
                    "pagination off",
                    "confirm off",
                    "debuginfod enabled off",
                    // Into memory as soon as it is set.
                    "breakpoint always-inserted on",
                ] {
                    command.args(["-ex", &format!("set {setting}")]);
                }
                command.arg("-p").arg(pid.to_string());
                command
            }
            Debugger::Delve => {
                let mut command = Command::new(fixture("delve", GO, "default"));
                command
                    .args(["attach", &pid.to_string()])
                    .arg("--allow-non-terminal-interactive=true");
                command
            }
        };
        let talk = Conversation::start(command);
        Self { talk, debugger }
    }

    /// Waits for a line with these words.
    fn hear(&mut self, words: &str) {
        while !self.talk.hear().contains(words) {}
    }

    /// Waits until it has done all that it was told.
    fn in_step(&mut self) {
        match self.debugger {
            Debugger::Gdb => self.talk.say(r"echo \nin step\n"),
            Debugger::Delve => self.talk.say(r#"print "in step""#),
        }
        self.hear("in step");
    }

    /// Sets a breakpoint there.
    fn stop_at(&mut self, site: &Site) {
        self.talk.say(&format!("break *{:#x}", site.address));
        self.in_step();
    }

    /// Takes its breakpoints away and leaves.
    fn leave(mut self) {
        match self.debugger {
            Debugger::Gdb => self.talk.say("detach\nquit"),
            // It asks whether to kill the program.
            Debugger::Delve => self.talk.say("exit\nn"),
        }
        let left = wait::comes_true(PATIENCE, || !self.talk.runs());
        assert!(left, "{:?} stays", self.debugger);
    }
}

fn hot() -> Vec<Site> {
    let sites = sites(&fixture("spin", GO, "default")).into_iter();
    sites
        .filter(|site| site.kind.starts_with("Goroutine"))
        .collect()
}

fn ask_to_end(observer: &Observer) {
    let pid = Pid::from_raw(observer.pid().cast_signed()).expect("a pid");
    kill_process(pid, Signal::TERM).expect("a signal");
}

fn end_of(observer: &mut Observer) {
    let ended = wait::comes_true(PATIENCE, || !observer.runs());
    assert!(ended, "{}", observer.log());
}

/// It is there, and does what it is told, with its own text.
fn is_well(spin: &mut Spin) {
    assert!(spin.round(200, 0).elapsed() > 0.0);
    let file = fixture("spin", GO, "default");
    assert_eq!(changed(spin.talk.pid(), &file, &sites(&file)), 0);
}

/// The debugger comes to probes, and the observer ends while it is there.
#[test]
fn a_debugger_that_comes_to_probes_may_stay_longer_than_the_observer() {
    for debugger in [Debugger::Gdb, Debugger::Delve] {
        let mut observer = Observer::start();
        let mut spin = Spin::start();
        let pid = spin.talk.pid();
        observer.attached(pid);
        let mut session = Session::on(debugger, pid);
        session.stop_at(&hot()[0]);
        ask_to_end(&observer);
        let waits = wait::comes_true(PATIENCE, || {
            observer.log().contains("waiting for the debugger") || !observer.runs()
        });
        session.leave();
        end_of(&mut observer);
        is_well(&mut spin);
        assert!(waits, "{debugger:?}\n{}", observer.log());
    }
}

/// Probes come to a debugger, and go.
#[test]
fn probes_that_come_to_a_debugger_may_go_again() {
    for debugger in [Debugger::Gdb, Debugger::Delve] {
        let mut spin = Spin::start();
        let pid = spin.talk.pid();
        let mut session = Session::on(debugger, pid);
        session.stop_at(&hot()[0]);
        let mut observer = Observer::start();
        observer.attached(pid);
        ask_to_end(&observer);
        let waits = wait::comes_true(PATIENCE, || {
            observer.log().contains("waiting for the debugger") || !observer.runs()
        });
        assert!(waits && observer.runs(), "{debugger:?}\n{}", observer.log());
        session.leave();
        end_of(&mut observer);
        is_well(&mut spin);
    }
}

/// The budget takes no probe off a program that is debugged, and does so afterwards.
#[test]
fn what_must_leave_waits_for_the_debugger() {
    let mut command = Command::new(observer());
    command.env("OBSERVER_PROBE_BUDGET", "1");
    let observer = Observer::start_as(command);
    let mut spin = Spin::start();
    let pid = spin.talk.pid();
    observer.attached(pid);
    let mut session = Session::on(Debugger::Gdb, pid);
    session.stop_at(&hot()[0]);
    session.talk.say("continue &");
    spin.talk.say("500");
    let stay = wait::comes_true(PATIENCE, || {
        observer.log().contains("probes stay as long as")
    });
    assert!(stay, "{}", observer.log());
    spin.talk.hear();
    assert!(observer.settled(pid).probes.hot, "they have left");
    session.talk.say("interrupt");
    session.hear("received signal SIGINT");
    session.leave();
    let left = wait::comes_true(PATIENCE, || {
        observer.process(pid).is_some_and(|p| !p.probes.hot)
    });
    assert!(left, "{}", observer.log());
    let file = fixture("spin", GO, "default");
    let gone = wait::comes_true(PATIENCE, || changed(pid, &file, &hot()) == 0);
    assert!(gone, "{}", observer.log());
    assert!(spin.round(200, 0).elapsed() > 0.0);
}

/// Whoever cannot wait may say so.
#[test]
fn an_observer_asked_twice_ends_at_once() {
    let mut observer = Observer::start();
    let spin = Spin::start();
    let pid = spin.talk.pid();
    observer.attached(pid);
    let session = Session::on(Debugger::Gdb, pid);
    wait::until("the debugger", PATIENCE, || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
        (!status.contains("TracerPid:\t0\n")).then_some(())
    });
    ask_to_end(&observer);
    let waits = wait::comes_true(PATIENCE, || {
        observer.log().contains("waiting for the debugger")
    });
    assert!(waits, "{}", observer.log());
    ask_to_end(&observer);
    end_of(&mut observer);
    let told = observer.log().contains("although a debugger is on");
    assert!(told, "{}", observer.log());
    session.leave();
}
