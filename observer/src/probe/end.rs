//! Taking every probe away at the end, without delaying it.

use std::{fs, os::fd::RawFd, thread};

use aya::programs::uprobe::UProbeLink;

use super::LinkMode;

/// How many threads close `uprobe_multi` links.
const CLOSERS: usize = 64;

/// Closes all links. The kernel waits for running programs at each.
pub(super) fn close(links: Vec<UProbeLink>, mode: LinkMode) {
    match mode {
        LinkMode::UprobeMulti => close_together(links),
        LinkMode::PerfEvent => {
            leave_to_child(links.len());
            // Closing them here would wait as well; they go with the process.
            std::mem::forget(links);
        }
    }
}

/// Many threads wait for one and the same grace period.
fn close_together(mut links: Vec<UProbeLink>) {
    let share = links.len().div_ceil(CLOSERS).max(1);
    thread::scope(|scope| {
        while links.len() > share {
            let some = links.split_off(links.len() - share);
            // Where there is no thread to be had, the closure is dropped here, links and all.
            let _ = thread::Builder::new()
                .stack_size(64 << 10)
                .spawn_scoped(scope, move || drop(some));
        }
        drop(links);
    });
}

/// Perf-event links are closed one after another, whoever does it: the kernel
/// waits a tenth of a second at each and holds a lock meanwhile. So that an
/// exit need not wait, a child that does nothing but exit shares the links:
/// the kernel takes the probes away as it ends.
fn leave_to_child(links: usize) {
    if links == 0 {
        return;
    }
    // Listening sockets above all, which a successor wants.
    let others = descriptors_but_links();
    // SAFETY: the child makes only system calls that are safe between fork and
    // exec in a process with threads, and touches no memory but `others`.
    unsafe {
        match libc::fork() {
            0 => {
                for fd in others {
                    libc::close(fd);
                }
                libc::_exit(0)
            }
            -1 => {
                let error = std::io::Error::last_os_error();
                tracing::warn!(%error, "no child to leave {links} probes to; the exit waits for them");
            }
            child => tracing::debug!(child, "left {links} probes to a child that exits"),
        }
    }
}

/// Every open descriptor that is neither a BPF link nor a perf event.
fn descriptors_but_links() -> Vec<RawFd> {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| {
            fs::read_link(entry.path()).is_ok_and(|to| {
                let to = to.to_string_lossy();
                !to.contains("bpf_link") && !to.contains("bpf-link") && !to.contains("perf_event")
            })
        })
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}
