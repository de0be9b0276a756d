//! Process ids as the observer's own pid namespace numbers them, which is how
//! /proc shows them to it. A process outside that namespace has none there and
//! is nobody's business here.
//!
//! A helper of the kernel tells the id in the initial namespace. The one for
//! another namespace (`bpf_get_ns_current_pid_tgid`) knows only processes whose
//! own namespace that is, and not those of namespaces below it. So the kernel's
//! list of a process's numbers is walked here. In the initial namespace the
//! verifier finds the walk to be dead code and removes it.

use aya_ebpf::helpers::{bpf_get_current_pid_tgid, bpf_get_current_task, bpf_probe_read_kernel};

use crate::offsets::offset;

/// Inode number of the observer's pid namespace, patched in before loading; 0
/// for the initial one.
#[unsafe(no_mangle)]
static PID_NAMESPACE: u32 = 0;

/// Namespaces that may lie above one another (`MAX_PID_NS_LEVEL`).
const MOST_LEVELS: u32 = 32;

/// The current process.
#[inline(always)]
pub(crate) fn current() -> Option<u32> {
    let namespace = namespace();
    if namespace == 0 {
        return Some((bpf_get_current_pid_tgid() >> 32) as u32);
    }
    // SAFETY: the helper has no precondition.
    let task = unsafe { bpf_get_current_task() };
    some(number(task, namespace))
}

/// The process of a task, which has the id `initial` in the initial namespace.
#[inline(always)]
pub(crate) fn of_task(task: *const u8, initial: u32) -> Option<u32> {
    let namespace = namespace();
    if namespace == 0 {
        return Some(initial);
    }
    some(number(task as u64, namespace))
}

#[inline(always)]
fn namespace() -> u32 {
    // SAFETY: a static of this type. Volatile, because it is patched.
    unsafe { core::ptr::read_volatile(&raw const PID_NAMESPACE) }
}

#[inline(always)]
fn some(number: u32) -> Option<u32> {
    if number == 0 { None } else { Some(number) }
}

/// The number of a task's process in a namespace, 0 where it has none.
#[inline(never)]
fn number(task: u64, namespace: u32) -> u32 {
    walk(task, namespace).unwrap_or(0)
}

#[inline(always)]
fn walk(task: u64, namespace: u32) -> Option<u32> {
    let signal: u64 = read(task, offset!(task_signal))?;
    let pid: u64 = read(signal, offset!(signal_tgid))?;
    let level: u32 = read(pid, offset!(pid_level))?;
    // The first is the initial namespace's, and that is not the observer's.
    for place in 1..=MOST_LEVELS {
        if place > level {
            return None;
        }
        let at = offset!(pid_numbers) + place as u64 * offset!(upid_size);
        let its: u64 = read(pid, at + offset!(upid_ns))?;
        let inum: u32 = read(its, offset!(namespace_inum))?;
        if inum == namespace {
            return read(pid, at + offset!(upid_nr));
        }
    }
    None
}

/// Reads a field of one of the kernel's structures.
#[inline(always)]
fn read<T>(structure: u64, offset: u64) -> Option<T> {
    // SAFETY: the helper checks the address and fails without a fault; `T` is
    // an integer here, which any bytes are valid for.
    unsafe { bpf_probe_read_kernel((structure + offset) as *const T) }.ok()
}
