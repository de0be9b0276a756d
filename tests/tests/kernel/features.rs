//! What the programs are where the kernel lacks something, and what they are not
//! where they need not say anything.

use std::{process::Command, time::Duration};

use observer_probe::{Kernel, LoadOptions, LogLevel, ProbeGroup, Probes, ProcessKey};
use observer_tests::{
    Observer, Workload,
    paths::{self, GO, fixture, go1},
    wait,
};

use crate::beside::probes::attach;

const TARGET: u32 = 1;

/// What probes count of a burst, against what the program says, which goes on.
fn counts_a_burst(probes: &mut Probes) -> Workload {
    let path = fixture("workload", GO, "default");
    attach(probes, TARGET, &path);
    let mut w = Workload::start(&path);
    let registration = probes.register(w.pid, TARGET).expect("a place");
    let key = ProcessKey {
        tgid: w.pid,
        epoch: registration.expect("it runs").epoch,
    };
    let before = (w.report().created, probes.goroutines(key).created);
    w.run("burst 300 0");
    w.run("gc 2");
    let after = (w.report().created, probes.goroutines(key).created);
    assert!(after.0 >= before.0 + 300);
    assert_eq!(after.1 - before.1, after.0 - before.0);
    let (_, gc) = probes.read(key, None);
    assert!(gc.as_ref().is_some_and(|gc| gc.whole_cycles >= 2), "{gc:?}");
    w
}

#[test]
fn maps_that_cannot_grow_count_and_refuse() {
    let kernel = Kernel::read().without("bpf_mem_alloc");
    let mut probes = Probes::load(kernel, LoadOptions::default()).expect("the programs");
    let _with_a_place = counts_a_burst(&mut probes);

    // Ids that no process has: the kernel gives none above 2^22.
    let nobody = 1 << 23;
    let mut registered = 0;
    while probes.register(nobody + registered, TARGET).is_ok() {
        registered += 1;
        assert!(registered <= 65_536, "the map is not full");
    }
    assert_eq!(registered + 1, 16_384);
    assert_eq!(probes.health().refused_processes, 0);
    let mut w = Workload::start(&fixture("workload", GO, "default"));
    w.run("burst 50 0");
    assert_eq!(probes.registration(w.pid), None);
    assert!(probes.health().refused_processes >= 50);
}

/// As on arm64 before Linux 5.18.
#[test]
fn without_atomics_nothing_is_loaded_and_it_is_said() {
    let kernel = Kernel::read().without("atomic_fetch");
    let missing = observer_probe::missing(&kernel, None);
    let said = missing
        .iter()
        .find(|it| it.starts_with("atomics in eBPF"))
        .unwrap_or_else(|| panic!("{missing:?}"));
    assert!(said.ends_with(observer_probe::WITHOUT_PROBES), "{said}");
    let error = Probes::load(kernel, LoadOptions::default()).expect_err("no programs");
    assert!(error.to_string().contains("on arm64 5.18"), "{error}");
    assert_eq!(Kernel::read().features().get("atomic_fetch"), Some(&true));
}

/// As under `lockdown=confidentiality`.
#[test]
fn what_cannot_be_read_is_left_out_and_named() {
    let kernel = Kernel::read().without("probe_read_user");
    let mut probes = Probes::load(kernel, LoadOptions::default()).expect("the programs");
    counts_a_burst(&mut probes);
    let old = fixture("workload", go1(20), "default");
    let attached = attach(&mut probes, TARGET + 1, &old);
    let left_out = attached.refused.iter();
    let mut left_out: Vec<_> = left_out
        .map(|(site, _)| format!("{:?}", site.kind))
        .collect();
    left_out.sort_unstable();
    left_out.dedup();
    let read = [
        "StartAfterMarkTermination",
        "StartAfterSweepTermination",
        "StartBeforeMarkRestart",
        "StopReason",
    ];
    assert_eq!(left_out, read);
    assert!(attached.of(ProbeGroup::EXACT).is_on());
    let mut w = Workload::start(&old);
    w.run("burst 100 0");
    w.run("gc 1");
    assert_eq!(probes.health().failed_reads, 0, "nothing is tried");
}

/// The program that probes run, with what it says down to a level.
fn program(log: Option<LogLevel>) -> (u32, u32) {
    let options = LoadOptions {
        log,
        ..LoadOptions::default()
    };
    let mut probes = Probes::load(Kernel::read(), options).expect("the programs");
    let bytes = probes.program_bytes().expect("the program");
    (bytes.verified, bytes.compiled)
}

#[test]
fn what_is_not_to_be_said_is_not_in_the_program() {
    let off = program(None);
    let error = program(Some(LogLevel::Error));
    let debug = program(Some(LogLevel::Debug));
    assert!(off.0 > 0 && off.1 > 0, "{off:?}");
    // Each level's messages are thousands of bytes.
    assert!(
        off.0 + 4_000 < error.0 && error.0 + 4_000 < debug.0,
        "{off:?}, {error:?}, {debug:?}"
    );
    assert!(
        off.1 + 4_000 < error.1 && error.1 + 4_000 < debug.1,
        "{off:?}, {error:?}, {debug:?}"
    );
}

#[test]
fn the_programs_speak_into_the_log() {
    let said = |level: &str, patience| {
        let mut command = Command::new(paths::observer());
        command.env("OBSERVER_EBPF_LOG", level);
        let observer = Observer::start_as(command);
        let path = fixture("workload", GO, "default");
        let known = Workload::start(&path);
        observer.attached(known.pid);
        // Of one that the observer registers before its first hit there is none.
        wait::comes_true(Duration::from_secs(patience), || {
            let newcomer = Workload::start(&path);
            let first = format!("first hit of process {} ", newcomer.pid);
            wait::comes_true(Duration::from_secs(1), || observer.log().contains(&first))
        })
    };
    assert!(said("debug", 30));
    assert!(!said("info", 3));
}
