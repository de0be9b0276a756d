//! Processes that begin another program, fork and end, from BTF tracepoints,
//! which need no tracefs.

use aya_ebpf::{
    helpers::bpf_get_current_pid_tgid, macros::btf_tracepoint, programs::BtfTracePointContext,
};
use observer_ebpf::{
    EventKind, ProcessKey,
    state_machine::{self, Fields, Kernel as _},
};

use crate::{bpf::Bpf, maps::PROCESSES, offsets::offset, pids};

/// A task runs a new program.
#[btf_tracepoint(function = "sched_process_exec")]
fn sched_process_exec(ctx: BtfTracePointContext) -> i32 {
    let Some(tgid) = pids::current() else {
        return 0;
    };
    state_machine::exec(Bpf, tgid, || parent(&ctx).unwrap_or((0, 0)));
    0
}

/// The parent of the task that runs a new program, and the number of its cgroup:
/// both may be gone before anybody can look. Without a helper, which a kernel in
/// confidential lockdown would refuse; what cannot be read reads 0.
#[inline(always)]
fn parent(ctx: &BtfTracePointContext) -> Option<(u32, u64)> {
    let (at_parent, at_tgid) = (offset!(task_real_parent), offset!(task_tgid));
    if at_parent == 0 || at_tgid == 0 {
        return None;
    }
    let task: *const u8 = ctx.arg(0);
    // SAFETY: the tracepoint's first argument is a task; the verifier checks the
    // offsets against the kernel's types, and a load that faults gives 0.
    let parent = unsafe { pointer(task, at_parent) };
    // SAFETY: as above.
    let tgid = unsafe { core::ptr::read_volatile(parent.add(at_tgid as usize).cast::<u32>()) };
    let (at_cgroups, at_cgroup) = (offset!(task_cgroups), offset!(css_set_dfl_cgrp));
    let (at_node, at_id) = (offset!(cgroup_kn), offset!(kernfs_node_id));
    let mut cgroup = 0;
    if at_cgroups != 0 && at_cgroup != 0 && at_node != 0 && at_id != 0 {
        // SAFETY: as above.
        cgroup = unsafe {
            let node = pointer(pointer(pointer(parent, at_cgroups), at_cgroup), at_node);
            core::ptr::read_volatile(node.add(at_id as usize).cast::<u64>())
        };
    }
    Some((pids::of_task(parent, tgid).unwrap_or(0), cgroup))
}

/// The pointer in a structure of the kernel's.
///
/// # Safety
///
/// `structure` must be what the verifier knows as a pointer to one that has a
/// pointer there.
#[inline(always)]
unsafe fn pointer(structure: *const u8, offset: u64) -> *const u8 {
    // SAFETY: as the caller promises.
    unsafe { core::ptr::read_volatile(structure.add(offset as usize).cast::<*const u8>()) }
}

/// A task forks: `(parent, child)`.
#[btf_tracepoint(function = "sched_process_fork")]
fn sched_process_fork(ctx: BtfTracePointContext) -> i32 {
    let Some(parent) = pids::current() else {
        return 0;
    };
    if PROCESSES.get_ptr(&parent).is_none() {
        return 0;
    }
    let (at_tgid, at_pid) = (offset!(task_tgid), offset!(task_pid));
    if at_tgid == 0 || at_pid == 0 {
        return 0;
    }
    let child: *const u8 = ctx.arg(1);
    // SAFETY: the tracepoint's second argument is a task; the verifier checks
    // the offsets against the kernel's types.
    let (tgid, pid) = unsafe {
        (
            core::ptr::read_volatile(child.add(at_tgid as usize).cast::<u32>()),
            core::ptr::read_volatile(child.add(at_pid as usize).cast::<u32>()),
        )
    };
    // A new thread has its own pid and the process's tgid.
    if tgid != pid {
        return 0;
    }
    let Some(tgid) = pids::of_task(child, tgid) else {
        return 0;
    };
    if tgid == parent {
        return 0;
    }
    Bpf.process_event();
    Bpf.send(&Fields {
        parent,
        ..Fields::new(EventKind::Fork, ProcessKey { tgid, epoch: 0 }, 0)
    });
    0
}

/// A task ends.
#[btf_tracepoint(function = "sched_process_exit")]
fn sched_process_exit(ctx: BtfTracePointContext) -> i32 {
    let Some(tgid) = pids::current() else {
        return 0;
    };
    state_machine::exit(Bpf, tgid, || is_last(&ctx));
    0
}

/// Whether the task that ends is the last of its process.
#[inline(always)]
fn is_last(ctx: &BtfTracePointContext) -> bool {
    let (at_signal, at_live) = (offset!(task_signal), offset!(signal_live));
    if at_signal == 0 || at_live == 0 {
        // The leader mostly ends last. Where it does not, the sweep in user space
        // finds what the other threads counted.
        let pid_tgid = bpf_get_current_pid_tgid();
        return pid_tgid as u32 == (pid_tgid >> 32) as u32;
    }
    let task: *const u8 = ctx.arg(0);
    // SAFETY: the tracepoint's argument is a task, and `signal` stays valid until
    // the task is released; the verifier checks the types.
    let live = unsafe {
        let signal = core::ptr::read_volatile(task.add(at_signal as usize).cast::<*const u8>());
        core::ptr::read_volatile(signal.add(at_live as usize).cast::<u32>())
    };
    live == 0
}
