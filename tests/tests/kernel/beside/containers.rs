//! Containers that share a file, or hold copies of it: each counts its own.

use std::{
    collections::BTreeMap,
    process::{Child, Stdio},
};

use observer_tests::{
    Observer, Process, Workload,
    containers::Containerd,
    exact,
    observer::ATTACH,
    paths::{GO, fixture},
    wait,
};
use rustix::process::{Pid, Signal, kill_process};

/// A container's id, as Kubernetes' runtimes make them.
fn id(n: u8) -> String {
    format!("{n:02x}").repeat(32)
}

fn pod(n: u8) -> String {
    format!("{n:08x}-1111-2222-3333-444444444444")
}

fn find(observer: &Observer, n: u8) -> Option<Process> {
    let id = id(n);
    observer
        .processes()
        .into_iter()
        // The runtime's own init was in the container before it became /app.
        .find(|p| !p.ended && p.container.as_ref().is_some_and(|c| c.id == id))
}

#[test]
fn containers_that_share_a_file_count_apart() {
    let containerd = Containerd::start();
    let app = fixture("workload", GO, "stripped");
    let (one, other) = (
        containerd.image("one", &app),
        containerd.image("other", &app),
    );
    let observer = Observer::start();

    let start = |image: &str, n: u8| Workload::start_as(containerd.run(image, &id(n), &pod(n)));
    let attached = |n: u8| {
        wait::until(&format!("container {n} attached"), ATTACH, || {
            find(&observer, n).filter(Process::attached)
        })
    };
    // One of each image, so that what comes later is counted from its start.
    let known = [(start(&one, 1), 1), (start(&other, 2), 2)];
    for (_, n) in &known {
        attached(*n);
    }
    let mut fresh = [
        (start(&one, 3), 3),
        (start(&one, 4), 4),
        (start(&other, 5), 5),
    ];
    for (w, n) in &mut fresh {
        w.run(&format!("burst {} 10", 100 * u32::from(*n)));
        w.run(&format!("gc {n}"));
        w.run(&format!("hold {n}"));
    }
    let reports: Vec<_> = fresh.iter_mut().map(|(w, n)| (*n, w.report())).collect();
    observer.settle();
    for (n, said) in reports {
        let seen = attached(n);
        exact::from_start(&seen, &said, &format!("container {n}"));
        let container = seen.container.expect("it is in a container");
        assert_eq!(container.pod_uid, Some(pod(n)), "container {n}");
        assert_eq!(seen.exe, "/app", "container {n}");
    }
    // Nothing was counted for those that did nothing: their own report makes
    // no goroutine.
    for (mut w, n) in known {
        let before = attached(n).figures.exited;
        w.report();
        observer.settle();
        assert_eq!(attached(n).figures.exited, before, "container {n}");
    }
}

#[test]
fn containers_start_and_answer_without_an_observer() {
    let containerd = Containerd::start();
    let image = containerd.image("alone", &fixture("workload", GO, "stripped"));
    let mut w = Workload::start_as(containerd.run(&image, &id(9), &pod(9)));
    w.run("burst 10 0");
    assert_eq!(w.report().exited, 11);
}

/// `ctr run` in the foreground. Killed when dropped; its container ends with the
/// containerd.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Also those that nobody could look at: the observer stands still while they
/// come and go.
#[test]
fn what_is_executed_in_a_container_is_told_from_what_it_runs() {
    const TIMES: usize = 5;
    let containerd = Containerd::start();
    let image = containerd.image("exec", &fixture("short", GO, "default"));
    let observer = Observer::start();
    let mut run = containerd.run(&image, &id(6), &pod(6));
    run.args(["/app", "5", "1h"])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let _running = Running(run.spawn().expect("ctr"));
    let main = wait::until("the container attached", ATTACH, || {
        find(&observer, 6).filter(|it| it.exe == "/app" && it.attached())
    });
    assert_eq!(main.origin.as_deref(), Some("service"));

    let execute = |prefix: &str| {
        for n in 0..TIMES {
            let name = format!("{prefix}{n}");
            containerd.exec(&id(6), &name, &["/app", "20", "1ms"]);
        }
    };
    let executed = |seen: &mut BTreeMap<u32, Process>| {
        let there = |it: &Process| it.container.as_ref().is_some_and(|it| it.id == id(6));
        let all = observer.processes().into_iter();
        // Until its end it may not have done all it does.
        let all = all.filter(|it| it.exe == "/app" && it.pid != main.pid && there(it) && it.ended);
        seen.extend(all.map(|it| (it.pid, it)));
        seen.len()
    };
    let mut seen = BTreeMap::new();
    execute("seen");
    wait::until("all that were executed", ATTACH, || {
        (executed(&mut seen) >= TIMES).then_some(())
    });
    let pid = Pid::from_raw(observer.pid() as i32).expect("a pid");
    kill_process(pid, Signal::STOP).expect("the observer stops");
    execute("unseen");
    kill_process(pid, Signal::CONT).expect("the observer goes on");
    wait::until("those that nobody saw", ATTACH, || {
        (executed(&mut seen) >= 2 * TIMES).then_some(())
    });
    for process in seen.values() {
        assert_eq!(process.origin.as_deref(), Some("injected"), "{process:?}");
        assert!(process.figures.created >= 20, "{process:?}");
    }
    assert_eq!(seen.len(), 2 * TIMES);
    let main = observer.process(main.pid).expect("the container's own");
    assert_eq!(main.origin.as_deref(), Some("service"));
}
