//! Whose hits count for a process.

use aya_ebpf::{bindings::BPF_NOEXIST, helpers::bpf_ktime_get_ns};
use observer_ebpf::{EventKind, ProcessKey, Registration};

use crate::{
    atomic,
    diagnostics::{self, alias_hit, no_room_for_process},
    events::{Fields, send},
    maps::{ALIASES, PROCESSES, health},
};

/// A number for a process's new life: changes every microsecond, never 0.
/// The same one for one process id would take an exec or a reuse of the id
/// exactly a multiple of 73 minutes later, to the microsecond.
#[inline(always)]
pub(crate) fn new_epoch() -> u32 {
    // SAFETY: the helper has no precondition.
    let epoch = (unsafe { bpf_ktime_get_ns() } >> 10) as u32;
    if epoch == 0 { 1 } else { epoch }
}

/// The key that a hit of `target`'s probes counts for, or `None` where another
/// target is the process's owner or there is no room for the process.
#[inline(always)]
pub(crate) fn key_for_hit(tgid: u32, target: u32) -> Option<ProcessKey> {
    let registration = match PROCESSES.get_ptr_mut(&tgid) {
        Some(registration) => registration,
        None => register(tgid, target)?,
    };
    // SAFETY: a live map value; only an exec changes it from one target to
    // another, when the process has no other thread.
    let (epoch, mut owner) = unsafe {
        (
            (&raw const (*registration).epoch).read_volatile(),
            (&raw const (*registration).target).read_volatile(),
        )
    };
    let process = ProcessKey { tgid, epoch };
    if owner == 0 {
        // Two targets of one file may come here at once, from two threads.
        // SAFETY: a live map value, which the kernel aligns to 8 bytes.
        let was =
            unsafe { atomic::exchange(registration.cast(), word(epoch, 0), word(epoch, target)) };
        owner = (was >> 32) as u32;
        if owner == 0 {
            first_hit(process, target);
            owner = target;
        }
    }
    if owner == target {
        Some(process)
    } else {
        alias(target, owner);
        None
    }
}

/// The first half of a [`Registration`] as the machine's word.
#[inline(always)]
fn word(epoch: u32, target: u32) -> u64 {
    epoch as u64 | (target as u64) << 32
}

/// Registers a process that nobody registered before its first hit.
#[inline(always)]
fn register(tgid: u32, target: u32) -> Option<*mut Registration> {
    let new = Registration {
        epoch: new_epoch(),
        target,
        repaid_at: 0,
        stops_repaid_at: 0,
    };
    let inserted = PROCESSES.insert(&tgid, &new, BPF_NOEXIST as u64);
    // Another thread may have been first, which is as good.
    let Some(registration) = PROCESSES.get_ptr_mut(&tgid) else {
        health!(refused_processes);
        no_room_for_process(tgid);
        return None;
    };
    if inserted.is_ok() {
        first_hit(
            ProcessKey {
                tgid,
                epoch: new.epoch,
            },
            target,
        );
    }
    Some(registration)
}

#[inline(never)]
fn first_hit(process: ProcessKey, target: u32) {
    diagnostics::first_hit(process, target);
    send(&Fields {
        kind: EventKind::FirstHit,
        process,
        old_epoch: 0,
        target,
        parent: 0,
        parent_cgroup: 0,
    });
}

/// Two targets fired for one process: they are one file underneath, and the
/// hit was counted by its owner's probe.
#[inline(always)]
fn alias(loser: u32, owner: u32) {
    health!(alias_hits);
    alias_hit(loser, owner);
    let pair = (loser as u64) << 32 | owner as u64;
    if ALIASES.get_ptr(&pair).is_none() {
        // SAFETY: the helper has no precondition.
        let now = unsafe { bpf_ktime_get_ns() };
        // Where there is no room the next hit tries again; nothing is counted wrong.
        let _ = ALIASES.insert(&pair, &now, BPF_NOEXIST as u64);
    }
}
