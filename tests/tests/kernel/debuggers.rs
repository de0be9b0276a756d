//! A debugger is on a program with probes, with a breakpoint where a probe stands. It
//! keeps what it found there and writes that back: were the probe's breakpoint in it,
//! and the probe gone by then, the program would die of SIGTRAP.

use std::{
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use observer_tests::{
    Observer, Workload,
    observer::{Site, changed, sites},
    paths::{GO, fixture, observer},
    spin::Spin,
    text, wait,
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
                let mut command = gdb();
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

    /// On a program that the debugger itself starts. It stands at its first
    /// instruction, with nothing to read; and its process id.
    fn of(program: &Path, argument: &str) -> (Self, u32) {
        let mut command = gdb();
        // Else a shell, or this conversation, would be between the two.
        for setting in ["startup-with-shell off", "inferior-tty /dev/null"] {
            command.args(["-ex", &format!("set {setting}")]);
        }
        command.args(["-ex", "starti", "--args"]);
        command.arg(program).arg(argument);
        let talk = Conversation::start(command);
        let debugger = Debugger::Gdb;
        let mut session = Self { talk, debugger };
        session.in_step();
        session.talk.say("info inferiors");
        let pid = loop {
            let line = session.talk.hear();
            let pid = line.split_once("process ").and_then(|(_, rest)| {
                let number = rest.split_whitespace().next()?;
                number.parse().ok()
            });
            if let Some(pid) = pid {
                break pid;
            }
        };
        (session, pid)
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

fn gdb() -> Command {
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
    command
}

fn hot() -> Vec<Site> {
    goroutines(&fixture("spin", GO, "default"))
}

/// Sites of probes on goroutines.
fn goroutines(file: &Path) -> Vec<Site> {
    let sites = sites(file).into_iter();
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

/// A file with two names, of which one is excluded.
fn two_names(directory: &Path, program: &str) -> [PathBuf; 2] {
    let [file, excluded] = ["file", "excluded"].map(|name| directory.join(name));
    fs::copy(fixture(program, GO, "default"), &file).expect("a copy");
    fs::hard_link(&file, &excluded).expect("a second name");
    [file, excluded]
}

fn excluding(path: &Path) -> Observer {
    let mut command = Command::new(observer());
    command.env("OBSERVER_EXCLUDE", format!("path={}", path.display()));
    Observer::start_as(command)
}

fn stay(observer: &Observer) {
    let stay = wait::comes_true(PATIENCE, || {
        observer.log().contains("probes stay as long as")
    });
    assert!(stay, "{}", observer.log());
}

/// A process by its id. Killed when dropped.
struct Running(u32);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.0.cast_signed()) {
            // One that has ended is what the test told of.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Somebody who is not to be observed runs the same file as what is debugged.
#[test]
fn probes_that_leave_for_another_programs_sake_wait_for_the_debugger() {
    let directory = tempfile::tempdir().expect("a directory");
    let [file, excluded] = two_names(directory.path(), "spin");
    let observer = excluding(&excluded);
    let mut spin = Spin::of(&file);
    let pid = spin.talk.pid();
    observer.attached(pid);
    let hot = goroutines(&file);
    let before = changed(pid, &file, &hot);
    let mut session = Session::on(Debugger::Gdb, pid);
    session.stop_at(&hot[0]);
    let mut other = Spin::of(&excluded);
    stay(&observer);
    assert_eq!(changed(pid, &file, &hot), before);
    session.leave();
    for spin in [&mut spin, &mut other] {
        let pid = spin.talk.pid();
        let gone = wait::comes_true(PATIENCE, || text::changed(pid) == Some(0));
        assert!(gone, "{}", observer.log());
        assert!(spin.round(200, 0).elapsed() > 0.0);
    }
}

/// A debugger starts a program that is not to be observed, of a file with probes. None
/// of them was hit in it, so that nobody but /proc knows of the process.
#[test]
fn a_program_that_nobody_registered_keeps_its_probes_too() {
    let directory = tempfile::tempdir().expect("a directory");
    let [file, excluded] = two_names(directory.path(), "workload");
    let observer = excluding(&excluded);
    let mut w = Workload::start(&file);
    observer.attached(w.pid);
    let hot = goroutines(&file);
    let (mut session, pid) = Session::of(&excluded, "-demo");
    let _running = Running(pid);
    stay(&observer);
    assert_ne!(changed(pid, &file, &hot), 0);
    session.stop_at(&hot[0]);
    session.leave();
    for pid in [pid, w.pid] {
        let gone = wait::comes_true(PATIENCE, || text::changed(pid) == Some(0));
        assert!(gone, "{pid}\n{}", observer.log());
    }
    // It makes goroutines all the time: were there a trap, it had met it by now.
    thread::sleep(Duration::from_secs(2));
    assert_eq!(text::changed(pid), Some(0), "it has ended");
    w.run("burst 10 0");
}

/// Probes leave a file that somebody waits to write to; while a program runs it, a
/// debugger on it or none, Linux lets nobody wait.
#[test]
fn a_writer_moves_no_probe_of_a_program_that_is_debugged() {
    let directory = tempfile::tempdir().expect("a directory");
    let [file, unused] = two_names(directory.path(), "spin");
    let mut observer = excluding(&unused);
    let mut spin = Spin::of(&file);
    let pid = spin.talk.pid();
    observer.attached(pid);
    let hot = goroutines(&file);
    let before = changed(pid, &file, &hot);
    let mut session = Session::on(Debugger::Gdb, pid);
    session.stop_at(&hot[0]);
    // Longer than a sweep takes, which would ask again.
    for _ in 0..30 {
        let refused = File::options().write(true).open(&file).map(drop);
        let kind = refused.map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::ExecutableFileBusy));
        assert_eq!(changed(pid, &file, &hot), before);
        thread::sleep(Duration::from_millis(200));
    }
    session.leave();
    assert!(spin.round(200, 0).elapsed() > 0.0);
    ask_to_end(&observer);
    end_of(&mut observer);
    is_well(&mut spin);
}
