//! Whose hits count for a process, and where one of its lives ends and the next
//! begins.

use super::{Fields, Kernel};
use crate::{EventKind, ProcessKey, Registration};

/// A number for a process's new life: changes every microsecond, never 0.
/// A process id gets the same number twice only if an exec or a reuse of the id
/// comes exactly a multiple of 73 minutes later, to the microsecond.
#[inline(always)]
pub(super) fn new_epoch(now: u64) -> u32 {
    let epoch = (now >> 10) as u32;
    if epoch == 0 { 1 } else { epoch }
}

/// The key that a hit of `target`'s probes counts for. `None` where another
/// target is the process's owner, or the map has no room for the process.
#[inline(always)]
pub(super) fn key_for_hit<K: Kernel>(kernel: K, tgid: u32, target: u32) -> Option<ProcessKey> {
    let registration = match kernel.registration(tgid) {
        Some(registration) => registration,
        None => register(kernel, tgid, target)?,
    };
    let life = Registration::life(registration);
    // SAFETY: a live map value.
    let found = unsafe { kernel.load(life) };
    let (epoch, mut owner) = Registration::parts(found);
    let process = ProcessKey { tgid, epoch };
    if owner == 0 {
        // Two targets of one file may come here at once, from two threads.
        // SAFETY: as above.
        let was = unsafe { kernel.exchange(life, found, Registration::word(epoch, target)) };
        (_, owner) = Registration::parts(was);
        if owner == 0 {
            first_hit(kernel, process, target);
            owner = target;
        }
    }
    if owner == target {
        Some(process)
    } else {
        kernel.alias(target, owner);
        None
    }
}

/// Registers a process that nobody registered before its first hit.
#[inline(always)]
fn register<K: Kernel>(kernel: K, tgid: u32, target: u32) -> Option<*mut Registration> {
    let epoch = new_epoch(kernel.now());
    let new = Registration {
        epoch,
        target,
        repaid_at_ns: 0,
        stops_repaid_at_ns: 0,
        spans_repaid_at_ns: 0,
    };
    let is_first = kernel.register(tgid, &new);
    // Another thread may have been first, which is as good.
    let Some(registration) = kernel.registration(tgid) else {
        kernel.no_room_for(tgid);
        return None;
    };
    if is_first {
        first_hit(kernel, ProcessKey { tgid, epoch }, target);
    }
    Some(registration)
}

/// Not inlined: it needs stack for the event, and comes once in a life.
#[inline(never)]
fn first_hit<K: Kernel>(kernel: K, process: ProcessKey, target: u32) {
    kernel.send(&Fields::new(EventKind::FirstHit, process, target));
}

/// A process runs a new program: what it counts from here on is another life's.
/// `parent` tells its parent and that one's cgroup.
#[inline(always)]
pub fn exec<K: Kernel>(kernel: K, tgid: u32, parent: impl FnOnce() -> (u32, u64)) {
    kernel.process_event();
    let (mut epoch, mut old_epoch) = (0, 0);
    if let Some(registration) = kernel.registration(tgid) {
        epoch = new_epoch(kernel.now());
        let life = Registration::life(registration);
        // An exec has ended the other threads, so no hit of this process comes in
        // between. Epoch and owner change in one store: whoever copies the value
        // sees the old life with its owner, or the new one without any.
        // SAFETY: a live map value.
        unsafe {
            (old_epoch, _) = Registration::parts(kernel.load(life));
            kernel.store(life, Registration::word(epoch, 0));
        }
    }
    let (parent, parent_cgroup) = parent();
    kernel.send(&Fields {
        old_epoch,
        parent,
        parent_cgroup,
        ..Fields::new(EventKind::Exec, ProcessKey { tgid, epoch }, 0)
    });
}

/// A thread ends. Where `is_last` says that its process has no other left, the
/// process is taken out.
#[inline(always)]
pub fn exit<K: Kernel>(kernel: K, tgid: u32, is_last: impl FnOnce() -> bool) {
    let Some(registration) = kernel.registration(tgid) else {
        return;
    };
    if !is_last() {
        return;
    }
    // Read before the entry goes, since its memory may be another's then.
    // SAFETY: a live map value.
    let life = unsafe { kernel.load(Registration::life(registration)) };
    // Two threads may both see that none is left: whoever removes the entry tells.
    if !kernel.unregister(tgid) {
        return;
    }
    kernel.process_event();
    let (epoch, target) = Registration::parts(life);
    kernel.send(&Fields::new(
        EventKind::Exit,
        ProcessKey { tgid, epoch },
        target,
    ));
}
