//! An observer in a pid namespace that is not the machine's, as on a node that is
//! itself a container.

use std::time::Duration;

use observer_tests::{
    Observer, Process, Workload, exact, metrics,
    namespace::PidNamespace,
    observer::ATTACH,
    paths::{self, GO, fixture},
    wait,
    workload::Report,
};

/// What a program that was seen from its start says, and the observer of it.
fn agrees(seen: &Process, said: &Report) {
    exact::from_start(seen, said, &format!("pid {}", seen.pid));
}

#[test]
fn programs_of_the_namespace_count_and_no_others() {
    let path = fixture("workload", GO, "stripped");
    let namespace = PidNamespace::start();
    // Of one file: every hit of each runs the same probes.
    let mut standing = Workload::start_as(namespace.command(&path));
    let mut outside = Workload::start(&path);
    let observer = Observer::start_as(namespace.command(paths::observer()));
    observer.attached(standing.pid);
    let before = (standing.report(), observer.settled(standing.pid).figures);
    assert_eq!(namespace.number(standing.outer_pid()), standing.pid);

    let mut fresh = Workload::start_as(namespace.command(&path));
    let mut below = Workload::start_as(namespace.below(&path));
    let below_pid = namespace.number(below.outer_pid());
    assert_eq!(below.pid, 1, "it is the first of its own namespace");
    let mut outside_later = Workload::start(&path);
    for (n, w) in [
        &mut standing,
        &mut outside,
        &mut fresh,
        &mut below,
        &mut outside_later,
    ]
    .into_iter()
    .enumerate()
    {
        w.run(&format!("burst {} 10", 100 * (n + 1)));
        w.run(&format!("gc {}", n + 1));
        w.run(&format!("hold {}", n + 1));
    }

    let (said, said_below) = (fresh.report(), below.report());
    agrees(&observer.settled(fresh.pid), &said);
    agrees(&observer.settled(below_pid), &said_below);
    // What began before the probes counts from there on.
    let (said, seen) = (standing.report(), observer.settled(standing.pid).figures);
    assert_eq!(
        (
            seen.created - before.1.created,
            seen.exited - before.1.exited,
            seen.cycles() - before.1.cycles()
        ),
        (
            said.created - before.0.created,
            said.exited - before.0.exited,
            said.num_gc - before.0.num_gc
        ),
        "created, exited, cycles"
    );
    let mut inside = [standing.pid, fresh.pid, below_pid];
    inside.sort_unstable();
    let listed = || -> Vec<u32> {
        let all = observer.processes().into_iter();
        all.filter(|p| !p.ended).map(|p| p.pid).collect()
    };
    assert_eq!(listed(), inside, "log:\n{}", observer.log());
    for pid in inside {
        let comm = namespace.comm(pid);
        assert!(comm.starts_with("workload"), "{pid}: {comm}");
    }
    // What runs outside has no place in the maps either. They are counted every few seconds.
    let registered = || {
        let labels = ["map=\"PROCESSES\""];
        metrics::sum(&observer.metrics(), "observer_map_entries", &labels)
    };
    let few = wait::comes_true(Duration::from_secs(20), || registered() == Some(3.0));
    assert!(few, "{:?} are registered", registered());

    // Ends are told apart as well.
    drop(outside_later);
    drop(below);
    drop(outside);
    let left = [standing.pid, fresh.pid];
    let ended = wait::comes_true(ATTACH, || {
        let mut left = left.to_vec();
        left.sort_unstable();
        listed() == left
    });
    assert!(ended, "{:?} and not {left:?} are left", listed());
    let last = observer
        .process(below_pid)
        .expect("it is shown for a while");
    assert!(last.ended);
    assert_eq!(last.figures.created, said_below.created);
    fresh.run("burst 50 0");
    let said = fresh.report();
    agrees(&observer.settled(fresh.pid), &said);
}

#[test]
fn the_first_process_of_a_namespace_says_that_it_sees_itself_only() {
    let namespace = PidNamespace::start();
    let observer = Observer::start_as(namespace.below(paths::observer()));
    let log = observer.log();
    assert!(log.contains("hostPID in Kubernetes"), "{log}");
    assert!(log.contains("cost of a probe hit measured"), "{log}");
}

#[test]
fn ids_of_another_namespace_in_proc_are_refused() {
    let namespace = PidNamespace::start();
    let mut observer = Observer::spawn(namespace.under_proc_of_machine(paths::observer()));
    let ended = wait::comes_true(Duration::from_secs(30), || !observer.runs());
    let log = observer.log();
    assert!(ended, "it goes on:\n{log}");
    assert!(
        log.contains("/proc shows processes of another pid namespace"),
        "{log}"
    );
    assert!(!log.contains("panicked"), "{log}");
}
