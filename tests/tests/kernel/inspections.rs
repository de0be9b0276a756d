//! What inspecting executables takes.

use std::{
    fs::{self, File, FileTimes},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::{Duration, Instant, SystemTime},
};

use observer_tests::{
    Observer, Workload,
    observer::ATTACH,
    paths::{self, GO, fixture, go1},
    wait,
};

use crate::cgroups::{Hierarchy, within};

/// CPU time of a process so far, its children's left out.
fn cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("its stat");
    let (_, rest) = stat.rsplit_once(") ").expect("its name");
    let ticks: u64 = rest
        .split(' ')
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<u64>().expect("ticks"))
        .sum();
    Duration::from_millis(10 * ticks)
}

/// What is done with a file that is run again and again.
#[derive(Default)]
struct Churn {
    /// As `touch FILE; ./FILE`: each time it is another file.
    touches: AtomicBool,
    ended: AtomicBool,
    runs: AtomicU32,
}

impl Churn {
    fn runs(&self) -> u32 {
        self.runs.load(Ordering::Relaxed)
    }
}

fn run_again_and_again(file: &Path, cgroup: &Path, churn: &Churn) {
    while !churn.ended.load(Ordering::Relaxed) {
        if churn.touches.load(Ordering::Relaxed) {
            let opened = File::open(file).expect("the file");
            let now = FileTimes::new().set_modified(SystemTime::now());
            opened.set_times(now).expect("its time");
        }
        let mut command = within(cgroup, &[]);
        command.arg(file).args(["1", "1ms"]).stdout(Stdio::null());
        let status = command.status();
        assert!(status.expect("it runs").success());
        churn.runs.fetch_add(1, Ordering::Relaxed);
    }
}

/// CPU time that the observer took meanwhile, and how often the file was run.
struct Taken {
    elapsed: f64,
    cpu: f64,
    runs: u32,
}

impl Taken {
    /// For at least so long, while something is done.
    fn during(observer: &Observer, churn: &Churn, least: Duration, act: impl FnOnce()) -> Self {
        let (began, before, first) = (Instant::now(), cpu(observer.pid()), churn.runs());
        act();
        thread::sleep(least.saturating_sub(began.elapsed()));
        Self {
            elapsed: began.elapsed().as_secs_f64(),
            cpu: cpu(observer.pid()).saturating_sub(before).as_secs_f64(),
            runs: churn.runs() - first,
        }
    }
}

#[test]
fn a_file_that_changes_again_and_again_has_its_turn_and_no_more() {
    let mut command = Command::new(paths::observer());
    command.env("OBSERVER_CPU_CEILING", "5");
    let observer = Observer::start_as(command);
    let hierarchy = Hierarchy::mount();
    let (bad, good) = (hierarchy.make("bad"), hierarchy.make("good"));
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("touched");
    fs::copy(fixture("short", GO, "default"), &file).expect("a copy");
    let churn = Churn::default();
    let (same, touched) = thread::scope(|scope| {
        scope.spawn(|| run_again_and_again(&file, &bad, &churn));
        let end = scope.spawn(|| {
            // Once it is known, each run is looked at, and none inspected.
            thread::sleep(Duration::from_secs(3));
            let same = Taken::during(&observer, &churn, Duration::from_secs(10), || ());
            churn.touches.store(true, Ordering::Relaxed);
            // What was kept for it is taken soon.
            thread::sleep(Duration::from_secs(15));
            let touched = Taken::during(&observer, &churn, Duration::from_secs(20), || {
                let mut command = within(&good, &[]);
                command.arg(fixture("workload", go1(22), "default"));
                let mut w = Workload::start_as(command);
                observer.attached(w.pid);
                w.run("burst 50 0");
                let said = w.report();
                wait::until("the other's figures", ATTACH, || {
                    let ever = observer.process(w.pid)?.figures.ever;
                    (ever == Some((said.created, said.exited))).then_some(())
                });
            });
            (same, touched)
        });
        let result = end.join();
        churn.ended.store(true, Ordering::Relaxed);
        result.expect("no panic")
    });
    assert!(same.runs > 20 && touched.runs > 20, "too few runs");
    let share = touched.cpu / touched.elapsed;
    // Hearing of a program is no inspection, and has no bound: whoever runs many has
    // the observer hear of many.
    let hearing = same.cpu / f64::from(same.runs) * f64::from(touched.runs) / touched.elapsed;
    let inspecting = share - hearing;
    let figures = format!(
        "{} runs; the observer took {:.1} % of one CPU, {:.1} % for hearing of them",
        touched.runs,
        100.0 * share,
        100.0 * hearing
    );
    println!("{figures}");
    // A quarter of the ceiling is for one cgroup; the rest is room for probes that come
    // and go with each file.
    assert!(inspecting < 0.05, "{figures}");
    assert!(share < 0.2, "{figures}");
}
