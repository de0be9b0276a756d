//! A machine whose administrator forbids what can be forbidden, and that lacks
//! mounts: the observer counts exactly with its five capabilities all the same.

use std::{fs, process::Command};

use observer_testkit::{Observer, paths};
use rustix::{
    mount::{UnmountFlags, unmount},
    process::{Resource, Rlimit, setrlimit},
    thread::{CapabilitySet, remove_capability_from_bounding_set},
};

use crate::{builds, matrix};

/// What an administrator tightens; most cannot be loosened before the next boot.
const SETTINGS: [(&str, &str); 6] = [
    ("kernel/unprivileged_bpf_disabled", "1"),
    ("kernel/perf_event_paranoid", "4"),
    ("kernel/yama/ptrace_scope", "2"),
    ("kernel/kptr_restrict", "2"),
    ("kernel/dmesg_restrict", "1"),
    ("net/core/bpf_jit_harden", "2"),
];
const MOUNTS: [&str; 2] = ["/sys/kernel/tracing", "/sys/fs/cgroup"];
const NEEDED: CapabilitySet = CapabilitySet::BPF
    .union(CapabilitySet::PERFMON)
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::LEASE);

pub(crate) fn run(_: &[String]) {
    let lockdown = fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
    assert!(lockdown.contains("[integrity]"), "{lockdown:?}");
    for (name, value) in SETTINGS {
        let path = format!("/proc/sys/{name}");
        fs::write(&path, value).unwrap_or_else(|e| panic!("{path}: {e}"));
    }
    for mount in MOUNTS {
        unmount(mount, UnmountFlags::DETACH).unwrap_or_else(|e| panic!("{mount}: {e}"));
    }
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Memlock, none).expect("no memory to be locked");
    // What is executed by root has what its bounding set leaves.
    for bit in 0..=CapabilitySet::CHECKPOINT_RESTORE.bits().trailing_zeros() {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        if !NEEDED.contains(capability) {
            remove_capability_from_bounding_set(capability).expect("one capability less");
        }
    }
    let observer = Observer::start_as(Command::new(paths::observer()));
    let status = fs::read_to_string(format!("/proc/{}/status", observer.pid())).expect("status");
    let needed = format!("CapEff:\t{:016x}\n", NEEDED.bits());
    assert!(status.contains(&needed), "{status}");
    assert_eq!(observer.get("/readyz"), "ready\n");
    matrix::count(
        &observer,
        &builds::of("workload", 2)[..2],
        matrix::Reads::All,
    );
}
