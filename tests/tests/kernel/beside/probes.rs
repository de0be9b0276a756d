//! Groups of probes that come and go.

use std::{fs::File, path::Path};

use observer_go::binary::{Inspected, inspect};
use observer_probe::{
    Attached, Kernel, LinkMode, LoadOptions, ProbeError, ProbeGroup, Probes, ProcessKey,
};
use observer_tests::{
    Workload,
    paths::{GO, VERSIONS, fixture},
};

pub(crate) fn attach(probes: &mut Probes, target: u32, path: &Path) -> Attached {
    let file = File::open(path).expect("the program");
    let Ok(Inspected::Go(binary)) = inspect(&file) else {
        panic!("{} is no Go program", path.display());
    };
    let attached = probes.attach(target, path, &binary.plan);
    attached.unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The kernel takes its time to let go of probes, one file after the other: what
/// comes back meanwhile must not stand beside what leaves.
#[test]
fn what_comes_back_at_once_counts_once() {
    come_back(LinkMode::UprobeMulti, 10);
}

/// Here the kernel takes a probe away some time after its link was closed.
#[test]
fn what_comes_back_at_once_counts_once_by_perf_links() {
    come_back(LinkMode::PerfEvent, 3);
}

fn come_back(mode: LinkMode, rounds: u32) {
    let options = LoadOptions {
        link_mode: Some(mode),
        ..LoadOptions::default()
    };
    let mut probes = Probes::load(Kernel::read(), options).expect("the programs");
    let others = VERSIONS.map(|version| fixture("state", version, "default"));
    for (target, path) in (1..).zip(&others) {
        attach(&mut probes, target, path);
    }
    let last = 1 + VERSIONS.len() as u32;
    let path = fixture("workload", GO, "default");
    attach(&mut probes, last, &path);
    let mut w = Workload::start(&path);
    let registration = probes.register(w.pid, last).expect("a place");
    let key = ProcessKey {
        tgid: w.pid,
        epoch: registration.expect("it runs").epoch,
    };
    for round in 0..rounds {
        let before = (w.report().created, probes.goroutines(key).created);
        let mut set = |target, on| probes.set_group(target, ProbeGroup::EXACT, on).map(drop);
        let flipped: Result<(), ProbeError> = (1..=last)
            .try_for_each(|target| set(target, false))
            .and_then(|()| set(last, true));
        flipped.expect("the probes on each goroutine");
        w.run("burst 200 0");
        let after = (w.report().created, probes.goroutines(key).created);
        assert!(after.0 >= before.0 + 200, "{before:?}, {after:?}");
        assert_eq!(after.1 - before.1, after.0 - before.0, "round {round}");
        for target in 1..last {
            let back = probes.set_group(target, ProbeGroup::EXACT, true);
            back.expect("the probes on each goroutine");
        }
    }
}
