//! Programs whose memory leads the observer astray: it takes no memory for what they
//! pretend to have, and whoever holds it up holds up nobody else.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use observer_tests::{
    Observer, Workload,
    fuse::{Manner, Served},
    observer::{ATTACH, SETTLED},
    paths::{self, GO, fixture, go1},
    wait,
    workload::Conversation,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    elf,
    forge::{self, Variables},
};

/// Enough for ten intervals, and more on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// A program that is stopped, and whose runtime's variables lead elsewhere.
struct Hostile {
    pid: u32,
    talk: Conversation,
    at: u64,
}

impl Hostile {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(path());
        command.args(arguments);
        let mut talk = Conversation::start(command);
        let said = talk_address(&mut talk);
        Self {
            pid: talk.pid(),
            talk,
            at: said,
        }
    }

    /// Stops it and makes a slice of the runtime's begin where it said.
    fn forge(&mut self, address: u64, len: u64) {
        let pid = Pid::from_raw(self.pid as i32).expect("a process id");
        kill_process(pid, Signal::STOP).expect("to stop it");
        let stopped = || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).expect("its stat");
            stat.rsplit_once(") ")
                .is_some_and(|(_, rest)| rest.starts_with('T'))
        };
        assert!(wait::comes_true(SOON, stopped), "it is not stopped");
        let slice = [self.at, len, len];
        let slice = slice.map(u64::to_le_bytes);
        forge::write(self.pid, address, slice.as_flattened());
        assert!(self.talk.runs());
    }
}

fn talk_address(talk: &mut Conversation) -> u64 {
    let said = talk.hear();
    said.strip_prefix("ready ")
        .and_then(|at| at.parse().ok())
        .unwrap_or_else(|| panic!("greeting {said:?}"))
}

fn path() -> PathBuf {
    fixture("hostile", GO, "default")
}

/// The figures of a program that does something are those it tells.
fn is_fresh(observer: &Observer, w: &mut Workload) {
    w.run("burst 50 0");
    w.run("gc 1");
    let said = w.report();
    let pid = w.pid;
    let right = || {
        let seen = observer.process(pid)?.figures;
        (seen.ever == Some((said.created, said.exited))
            && seen.goroutines == Some(said.goroutines)
            && seen.cycles() == said.num_gc)
            .then_some(())
    };
    wait::until("the neighbour's figures", SOON, right);
}

fn left_out_because(observer: &Observer, pid: u32, why: &str) {
    let reason = || {
        let seen = observer.process(pid)?.coverage;
        (seen.get("state")?.reason.as_deref() == Some(why)).then_some(())
    };
    wait::find(SOON, reason).unwrap_or_else(|| {
        let seen = observer.process(pid).map(|process| process.coverage);
        panic!("{pid} is not left out as {why}: {seen:?}")
    });
}

/// Kilobytes of memory that a process had at most.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    peak.unwrap_or_else(|| panic!("no VmHWM: {status}"))
}

/// The observer's threads that have the engine, watch over it or sleep in a read.
fn engines(observer: &Observer) -> usize {
    let tasks = fs::read_dir(format!("/proc/{}/task", observer.pid())).expect("its threads");
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names
        .filter(|name| matches!(name.trim_end(), "engine" | "watch"))
        .count()
}

#[test]
fn ten_that_forge_or_withhold_their_memory() {
    let mut command = Command::new(paths::observer());
    command.env("OBSERVER_GOROUTINE_CREATORS", "5");
    let observer = Observer::start_as(command);
    let mut neighbour = Workload::start(&fixture("workload", GO, "default"));
    observer.attached(neighbour.pid);
    is_fresh(&observer, &mut neighbour);

    let variables = Variables::of(&path());
    let begin = |what: &[&str]| {
        let hostile = Hostile::start(what);
        observer.attached(hostile.pid);
        hostile
    };
    let mut many: Vec<_> = (0..3).map(|_| begin(&["ps"])).collect();
    let mut places: Vec<_> = (0..2).map(|_| begin(&["places"])).collect();
    let mut held: Vec<_> = (0..4).map(|_| begin(&["page"])).collect();
    let dead = Served::mount(vec![0; 4096]);
    let file = dead.file();
    held.insert(0, begin(&["file", &file.to_string_lossy()]));
    dead.be(Manner::Silent);
    for it in &mut many {
        it.forge(variables.allp, 65_536);
    }
    for it in &mut places {
        it.forge(variables.allgs, 20_000);
        let created = variables.created();
        forge::write(it.pid, created, &1_000_000_u64.to_le_bytes());
    }
    for it in &mut held {
        it.forge(variables.allp, 2);
    }

    is_fresh(&observer, &mut neighbour);
    for it in &many {
        left_out_because(&observer, it.pid, "too_many");
    }
    for it in &held {
        left_out_because(&observer, it.pid, "read_blocked");
    }
    is_fresh(&observer, &mut neighbour);
    let mut newcomer = Workload::start(&fixture("workload", go1(22), "default"));
    observer.attached(newcomer.pid);
    is_fresh(&observer, &mut newcomer);

    let walk = |pid| observer.try_get(&format!("/api/v1/processes/{pid}/goroutines"));
    for it in &places {
        let (status, body) = walk(it.pid).expect("an answer");
        assert!(status == 503 && body.contains("at most 16384"), "{body}");
    }
    for it in &held {
        let (status, body) = walk(it.pid).expect("an answer");
        assert!(status == 503 && body.contains("holds up"), "{body}");
    }
    let (status, body) = walk(neighbour.pid).expect("an answer");
    assert_eq!(status, 200, "{body}");

    let peak = peak(observer.pid());
    assert!(peak < 100 << 10, "the observer took {peak} kB");

    // Whose process ends is not waited for any more; the end waits for nobody.
    let sleeping = engines(&observer);
    held.truncate(2);
    let woken = wait::comes_true(SOON, || engines(&observer) + 3 <= sleeping);
    assert!(woken, "{sleeping} threads, and now {}", engines(&observer));
    is_fresh(&observer, &mut neighbour);
    assert!(!observer.log().contains("panicked"), "{}", observer.log());
    let (status, took) = observer.stop();
    assert!(status.success() && took < SOON, "{status} after {took:?}");
}

/// A program that does nothing but claim that Go built it, from a main package of
/// an endless name.
fn endless(path: &Path) {
    const NAME: usize = 4 << 20;
    let frame = [b'-'; 16];
    let mut module = frame.to_vec();
    module.extend(b"path\t");
    module.resize(NAME - 17, b'a');
    module.push(b'\n');
    module.extend(frame);
    let mut data = b"\xff Go buildinf:\x08\x02".to_vec();
    data.resize(32, 0);
    for text in [format!("go{GO}").as_bytes(), &module] {
        let mut length = text.len();
        while length >= 0x80 {
            data.push(length as u8 | 0x80);
            length >>= 7;
        }
        data.push(length as u8);
        data.extend(text);
    }

    elf::write(path, &elf::PAUSE, &data);
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn names_without_end() {
    let observer = Observer::start();
    let directory = tempfile::tempdir().expect("a directory");
    let running: Vec<_> = (0..20)
        .map(|n| {
            let path = directory.path().join(format!("endless-{n}"));
            endless(&path);
            let mut command = Command::new(&path);
            let child = command.stdin(Stdio::null()).spawn();
            Running(child.unwrap_or_else(|e| panic!("{}: {e}", path.display())))
        })
        .collect();
    wait::until("all of them seen", ATTACH * 2, || {
        let seen = observer.processes();
        let seen = |pid| seen.iter().any(|process| process.pid == pid);
        running.iter().all(|it| seen(it.0.id())).then_some(())
    });
    std::thread::sleep(SETTLED);
    let answer = observer.get("/api/v1/processes").len();
    assert!(answer < 1 << 20, "an answer of {answer} bytes");
    let peak = peak(observer.pid());
    assert!(peak < 100 << 10, "the observer took {peak} kB");
}
