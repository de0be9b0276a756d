//! Whatever happens to the observer, its targets go on, and nothing is left behind.

use std::{
    path::Path,
    process::{Child, Command},
    thread,
    time::Duration,
};

use observer_tests::{
    Observer, Workload,
    observer::{Site, changed, sites},
    paths::{self, GO, VERSIONS, fixture},
    spin::Spin,
    wait,
};

/// Long after a person would wonder, on a busy machine too, and long before the end of
/// a pod's grace period.
const SOON: Duration = Duration::from_secs(5);

fn assert_nothing_left(pid: u32, file: &Path, sites: &[Site]) {
    let gone = wait::comes_true(Duration::from_secs(30), || changed(pid, file, sites) == 0);
    assert!(
        gone,
        "{} of {} sites still changed",
        changed(pid, file, sites),
        sites.len()
    );
}

#[test]
fn kill_9_under_load_leaves_nothing_behind() {
    let (workload, spinner) = (
        fixture("workload", GO, "default"),
        fixture("spin", GO, "default"),
    );
    let (workload_sites, spin_sites) = (sites(&workload), sites(&spinner));
    let mut w = Workload::start(&workload);
    let mut spin = Spin::start();
    let before = spin.best(8);

    for _ in 0..3 {
        let observer = Observer::start();
        observer.attached(w.pid);
        observer.attached(spin.talk.pid());
        assert!(
            changed(w.pid, &workload, &workload_sites) > 0,
            "the probes can be seen"
        );
        spin.talk.say("1000");
        w.run("burst 1000 0");
        observer.kill();
        w.run("burst 1000 0");
        w.run("gc 3");
        spin.talk.hear();
        w.report();
        assert_nothing_left(w.pid, &workload, &workload_sites);
        assert_nothing_left(spin.talk.pid(), &spinner, &spin_sites);
    }
    // A probe that was left would cost more than twice as much, for ever; the machine
    // may be busy for a moment.
    let mut after = f64::MAX;
    let as_before = wait::comes_true(Duration::from_secs(20), || {
        after = spin.best(8);
        after < 1.4 * before
    });
    println!("ns per goroutine: {before:.0} before, {after:.0} after");
    assert!(
        as_before,
        "ns per goroutine: {before:.0} before, {after:.0} after"
    );
    assert!(w.runs());
}

/// Perf-event links are what kernels before 6.6 have. Their probes can outlive
/// an observer that ends at a bad moment: while a thread ends or closes a link.
#[test]
fn perf_links_leave_nothing_behind_however_it_ends() {
    let path = fixture("workload", GO, "default");
    let file_sites = sites(&path);
    let mut w = Workload::start(&path);
    let spinner = fixture("spin", GO, "default");
    let spin_sites = sites(&spinner);
    let mut spin = Spin::start();
    for round in 0..8 {
        let mut command = Command::new(paths::observer());
        command.env("OBSERVER_LINK", "perf");
        // The probes on each goroutine leave soon, so that some ends come amid that.
        command.env("OBSERVER_GOROUTINE_PROBES", "auto");
        let observer = Observer::start_as(command);
        observer.attached(w.pid);
        observer.attached(spin.talk.pid());
        assert!(changed(w.pid, &path, &file_sites) > 0, "round {round}");
        spin.talk.say("300");
        w.run("burst 300 0");
        thread::sleep(Duration::from_millis(round * 53 % 400));
        if round % 2 == 0 {
            let (status, took) = observer.stop();
            assert!(status.success(), "round {round}: {status}");
            println!("round {round}: SIGTERM, {took:?}");
        } else {
            observer.kill();
        }
        spin.talk.hear();
        assert_nothing_left(w.pid, &path, &file_sites);
        assert_nothing_left(spin.talk.pid(), &spinner, &spin_sites);
    }
    w.run("gc 3");
}

#[test]
fn a_second_instance_takes_over() {
    let path = fixture("workload", GO, "default");
    let sites = sites(&path);
    let mut w = Workload::start(&path);
    let old = Observer::start();
    old.attached(w.pid);
    let new = Observer::start();
    new.attached(w.pid);

    let said = w.report();
    let (by_old, by_new) = (old.settled(w.pid).figures, new.settled(w.pid).figures);
    w.run("burst 300 0");
    w.run("gc 2");
    let later = w.report();
    for (who, before, observer) in [("old", by_old, &old), ("new", by_new.clone(), &new)] {
        let now = observer.settled(w.pid).figures;
        assert_eq!(
            now.exited - before.exited,
            later.exited - said.exited,
            "the {who} one"
        );
        assert_eq!(
            now.cycles() - before.cycles(),
            later.num_gc - said.num_gc,
            "the {who} one"
        );
    }

    let (status, took) = old.stop();
    assert!(status.success(), "{status}");
    assert!(took < SOON, "the old one took {took:?} to end");
    w.run("burst 300 0");
    let last = w.report();
    let now = new.settled(w.pid).figures;
    assert_eq!(
        now.exited - by_new.exited,
        last.exited - said.exited,
        "after the old one is gone"
    );
    assert_eq!(
        now.pause_total_ns - by_new.pause_total_ns,
        last.pause_total_ns - said.pause_total_ns,
        "after the old one is gone"
    );

    let (_, took) = new.stop();
    assert!(took < SOON, "the new one took {took:?} to end");
    assert_nothing_left(w.pid, &path, &sites);
}

struct Idle(Child);

impl Drop for Idle {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_ends_soon_however_much_is_attached() {
    let files: Vec<_> = VERSIONS
        .into_iter()
        .flat_map(|v| ["default", "stripped"].map(|variant| fixture("idle", v, variant)))
        .collect();
    // With perf-event links the end waits until the kernel has taken them away, some
    // 0.1 s each: fewer files, which have thirty or so.
    for (link, files, within) in [("auto", &files[..], SOON), ("perf", &files[..3], 4 * SOON)] {
        let idle: Vec<_> = files
            .iter()
            .map(|f| Idle(Command::new(f).spawn().expect("an idle program")))
            .collect();
        let mut command = Command::new(paths::observer());
        command.env("OBSERVER_LINK", link);
        let observer = Observer::start_as(command);
        for i in &idle {
            observer.attached(i.0.id());
        }
        let (status, took) = observer.stop();
        assert!(status.success(), "{link}: {status}");
        assert!(took < within, "{link}: {took:?}");
        for (i, file) in idle.iter().zip(files) {
            assert_nothing_left(i.0.id(), file, &sites(file));
        }
    }
}
