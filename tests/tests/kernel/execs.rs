//! Processes that begin one program after the other while they are looked at: a look
//! by a process's id may be at either, and no probe of the one comes into the other.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use observer_tests::{
    Observer, Workload,
    observer::{self, ATTACH, Site, sites},
    paths::{GO, fixture, go1},
    text, wait,
};

/// Two builds, of which neither has the other's text.
const RELEASES: [&str; 2] = [go1(22), GO];
/// How many processes alternate.
const PROCESSES: usize = 3;
/// Observers that come and go meanwhile, and how long each stays.
const OBSERVERS: usize = 4;
const STAY: Duration = Duration::from_secs(3);
/// The longest that the kernel puts in place of an instruction.
const LONGEST: u64 = 5;

struct Program {
    release: &'static str,
    file: PathBuf,
    sites: Vec<Site>,
}

fn programs() -> [Program; 2] {
    RELEASES.map(|release| {
        let file = fixture("workload", release, "default");
        let sites = sites(&file);
        Program {
            release,
            file,
            sites,
        }
    })
}

/// No byte of it is another than the file's, but where its own probes stand.
fn is_its_own(pid: u32, program: &Program) {
    let changes = text::changes(pid).expect("it runs");
    let is_own = |at: &u64| {
        let mut sites = program.sites.iter();
        sites.any(|site| (site.offset..site.offset + LONGEST).contains(at))
    };
    let foreign: Vec<_> = changes.into_iter().filter(|at| !is_own(at)).collect();
    assert!(foreign.is_empty(), "{}: {foreign:x?}", program.release);
}

/// Runs the two in turn, as fast as they begin, until `over`; the first at last.
fn alternate(mut w: Workload, programs: &[Program; 2], over: &AtomicBool) -> Workload {
    while !over.load(Ordering::Relaxed) {
        for turn in 1..=8 {
            let program = &programs[turn % 2];
            w.exec(&program.file);
            if turn > 6 {
                is_its_own(w.pid, program);
            }
        }
    }
    w
}

/// Tells those who alternate, also where the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What is told of a process is told of one program, or that it has begun another.
fn is_told(pid: u32) -> bool {
    let output = observer::run(["inspect", &pid.to_string()]);
    let told = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let meanwhile = format!("process {pid} started another program meanwhile");
        assert!(error.contains(&meanwhile), "{output:?}");
        return false;
    }
    let line = |name: &str| {
        let mut lines = told.lines();
        let line = lines.find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {told}")).trim()
    };
    let version = line("go ").trim_start_matches("go");
    assert!(line("file ").contains(version), "{told}");
    true
}

#[test]
fn probes_come_into_their_own_program_only() {
    let programs = programs();
    let over = AtomicBool::new(false);
    let start = || Workload::start(&programs[0].file);
    let started: Vec<_> = (0..PROCESSES).map(|_| start()).collect();
    let pids: Vec<_> = started.iter().map(|w| w.pid).collect();
    let mut told = 0;
    let ended: Vec<_> = thread::scope(|scope| {
        let (programs, over) = (&programs, &over);
        let run = |w| scope.spawn(move || alternate(w, programs, over));
        let running: Vec<_> = started.into_iter().map(run).collect();
        let over = Over(over);
        for _ in 0..OBSERVERS {
            let observer = Observer::start();
            let began = Instant::now();
            while began.elapsed() < STAY && running.iter().all(|it| !it.is_finished()) {
                told += pids.iter().filter(|pid| is_told(**pid)).count();
            }
            observer.stop();
        }
        drop(over);
        let end = |it: thread::ScopedJoinHandle<'_, Workload>| it.join().expect("a program's text");
        running.into_iter().map(end).collect()
    });
    assert!(told > 0, "each look met two programs");

    let observer = Observer::start();
    for mut w in ended {
        for program in &programs {
            w.exec(&program.file);
            let version = format!("go{}", program.release);
            let of = |w: &Workload| {
                let seen = observer.process(w.pid)?;
                (seen.attached() && seen.binary.version == version).then_some(())
            };
            wait::until(&format!("{version} attached"), ATTACH, || of(&w));
            let (said, before) = (w.report(), observer.settled(w.pid));
            w.run("burst 200 0");
            let (now, seen) = (w.report(), observer.settled(w.pid));
            let exited = seen.figures.exited - before.figures.exited;
            assert_eq!(exited, now.exited - said.exited, "{version}");
            is_its_own(w.pid, program);
        }
        assert!(w.exit().success());
    }
}
