//! System calls that aya makes for itself only.

use std::{
    io,
    os::fd::{FromRawFd, OwnedFd},
};

use aya_obj::generated::{PERF_FLAG_FD_CLOEXEC, bpf_attr, bpf_cmd, perf_event_attr};

/// What a command is told, before anything is said.
pub(super) fn zeroed() -> bpf_attr {
    // SAFETY: integers only, in each of the union's variants.
    unsafe { std::mem::zeroed() }
}

/// `bpf(2)`.
///
/// # Safety
/// Every pointer in `attr` must lead to memory that the command may use.
pub(super) unsafe fn bpf(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<libc::c_long> {
    let size = size_of::<bpf_attr>();
    // SAFETY: `attr` is as long as is said; the caller answers for what is in it.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attr, size) };
    checked(result)
}

/// `bpf(2)` with a command that makes a descriptor.
///
/// # Safety
/// As for [`bpf`], and the command must be such a one.
pub(super) unsafe fn bpf_fd(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<OwnedFd> {
    // SAFETY: the caller answers for it.
    let fd = unsafe { bpf(command, attr) }?;
    // SAFETY: the command made it, for nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// `perf_event_open(2)`, for every process.
///
/// # Safety
/// Every pointer in `attr` must lead to memory that the kernel may read.
pub(super) unsafe fn perf_event_open(attr: &mut perf_event_attr) -> io::Result<OwnedFd> {
    const EVERY_PROCESS: libc::pid_t = -1;
    // A probe is hit on all of them; the event must belong to one.
    const CPU: libc::c_int = 0;
    const NO_GROUP: libc::c_int = -1;
    attr.size = size_of::<perf_event_attr>() as u32;
    // SAFETY: `attr` is as long as it says; the caller answers for what is in it.
    let fd = checked(unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw mut *attr,
            EVERY_PROCESS,
            CPU,
            NO_GROUP,
            PERF_FLAG_FD_CLOEXEC,
        )
    })?;
    // SAFETY: the call made it, for nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

fn checked(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}
