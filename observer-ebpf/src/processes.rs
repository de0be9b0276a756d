//! Processes that begin another program, fork and end, from BTF tracepoints,
//! which need no tracefs.

use aya_ebpf::{
    helpers::bpf_get_current_pid_tgid, macros::btf_tracepoint, programs::BtfTracePointContext,
};
use observer_ebpf::{EventKind, ProcessKey};

use crate::{
    events::{Fields, send},
    maps::{PROCESSES, health},
    offsets::offset,
    pids,
    registration::new_epoch,
};

/// A task runs a new program.
#[btf_tracepoint(function = "sched_process_exec")]
fn sched_process_exec(_ctx: BtfTracePointContext) -> i32 {
    let Some(tgid) = pids::current() else {
        return 0;
    };
    health!(process_events);
    let (mut epoch, mut old_epoch) = (0, 0);
    if let Some(registration) = PROCESSES.get_ptr_mut(&tgid) {
        epoch = new_epoch();
        // SAFETY: a live map value. An exec has ended the other threads, so
        // nothing of this process hits a probe meanwhile. The owner goes first:
        // a reader in between sees the old life without one.
        unsafe {
            old_epoch = (*registration).epoch;
            core::ptr::write_volatile(&raw mut (*registration).target, 0);
            core::ptr::write_volatile(&raw mut (*registration).epoch, epoch);
        }
    }
    send(&Fields {
        kind: EventKind::Exec,
        process: ProcessKey { tgid, epoch },
        old_epoch,
        target: 0,
        parent: 0,
    });
    0
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
    health!(process_events);
    send(&Fields {
        kind: EventKind::Fork,
        process: ProcessKey { tgid, epoch: 0 },
        old_epoch: 0,
        target: 0,
        parent,
    });
    0
}

/// A task ends.
#[btf_tracepoint(function = "sched_process_exit")]
fn sched_process_exit(ctx: BtfTracePointContext) -> i32 {
    let Some(tgid) = pids::current() else {
        return 0;
    };
    let Some(registration) = PROCESSES.get_ptr(&tgid) else {
        return 0;
    };
    let (at_signal, at_live) = (offset!(task_signal), offset!(signal_live));
    if at_signal == 0 || at_live == 0 {
        // The leader mostly ends last, when not, the sweep in user space finds
        // what its other threads counted.
        let pid_tgid = bpf_get_current_pid_tgid();
        if pid_tgid as u32 != (pid_tgid >> 32) as u32 {
            return 0;
        }
    } else {
        let task: *const u8 = ctx.arg(0);
        // SAFETY: the tracepoint's argument is a task, and `signal` stays
        // valid until the task is released; the verifier checks the types.
        let live = unsafe {
            let signal = core::ptr::read_volatile(task.add(at_signal as usize).cast::<*const u8>());
            core::ptr::read_volatile(signal.add(at_live as usize).cast::<u32>())
        };
        if live != 0 {
            return 0;
        }
    }
    // SAFETY: a live map value; the process has no thread left that changes it.
    let registration = unsafe { *registration };
    // Two threads may both see that none is left: who removes it tells.
    if PROCESSES.remove(&tgid).is_err() {
        return 0;
    }
    health!(process_events);
    send(&Fields {
        kind: EventKind::Exit,
        process: ProcessKey {
            tgid,
            epoch: registration.epoch,
        },
        old_epoch: 0,
        target: registration.target,
        parent: 0,
    });
    0
}
