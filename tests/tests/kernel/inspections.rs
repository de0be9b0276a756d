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
    paths::{self, GO, fixture},
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

/// As `touch FILE; ./FILE` again and again: each time it is another file.
fn touch_and_run(file: &Path, cgroup: &Path, ended: &AtomicBool, runs: &AtomicU32) {
    while !ended.load(Ordering::Relaxed) {
        let opened = File::open(file).expect("the file");
        let now = FileTimes::new().set_modified(SystemTime::now());
        opened.set_times(now).expect("its time");
        drop(opened);
        let mut command = within(cgroup, &[]);
        command.arg(file).args(["1", "1ms"]).stdout(Stdio::null());
        let status = command.status();
        assert!(status.expect("it runs").success());
        runs.fetch_add(1, Ordering::Relaxed);
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
    let (ended, runs) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        scope.spawn(|| touch_and_run(&file, &bad, &ended, &runs));
        let end = scope.spawn(|| {
            // What was kept for it is taken soon.
            thread::sleep(Duration::from_secs(15));
            let (began, before, first) = (
                Instant::now(),
                cpu(observer.pid()),
                runs.load(Ordering::Relaxed),
            );
            let mut command = within(&good, &[]);
            command.arg(fixture("workload", "1.22.12", "default"));
            let mut w = Workload::start_as(command);
            observer.attached(w.pid);
            w.run("burst 50 0");
            let said = w.report();
            wait::until("the other's figures", ATTACH, || {
                let ever = observer.process(w.pid)?.figures.ever;
                (ever == Some((said.created, said.exited))).then_some(())
            });
            thread::sleep(Duration::from_secs(10).saturating_sub(began.elapsed()));
            let share = cpu(observer.pid()).saturating_sub(before).as_secs_f64()
                / began.elapsed().as_secs_f64();
            let runs = runs.load(Ordering::Relaxed) - first;
            (share, runs)
        });
        let result = end.join();
        ended.store(true, Ordering::Relaxed);
        let (share, runs) = result.expect("no panic");
        println!(
            "{runs} runs; the observer took {:.1} % of one CPU",
            100.0 * share
        );
        assert!(runs > 20, "{runs}");
        assert!(
            share < 0.2,
            "{:.1} % of one CPU for {runs} runs",
            100.0 * share
        );
    });
}
