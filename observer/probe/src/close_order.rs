//! In which order the kernel closes what a killed observer had open.
//!
//! A writer that waits for a lease goes on as soon as the lease's file is closed.
//! Where the observer is killed (SIGKILL, also by its own
//! [`LeaseWatchdog`](super::lease_watchdog::LeaseWatchdog)) nobody but the kernel closes, and the file's links
//! must be closed before its lease all the same.
//!
//! The last thread that ends goes up through the descriptors (`close_files`) and puts
//! the close of each file on its list of task work (`fput`). That list is a stack:
//! `task_work_run` begins with what was put there last. So of two files that nobody
//! else holds, the one with the higher descriptor is closed first, and wholly: the
//! close of a `uprobe_multi` link returns when its breakpoints are gone
//! (`bpf_link_put_direct`). Locks of POSIX go earlier, on the way up; leases do not.
//! So it is in 5.15 and in all kernels since. Nothing promises it, hence the test that
//! kills the observer while a writer waits (`tests/tests/kernel/overwrite.rs`).
//!
//! Therefore each link has a higher descriptor than the lease of its file. More is
//! not needed: no range is set aside, and the table grows no larger than it would.
//!
//! It does not help perf-event links. What closes at the descriptor is the link only;
//! the event behind it is closed by threads of the kernel, some time after
//! ([`PerfEventMap`](super::perf_event_map::PerfEventMap)).

use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd, RawFd},
};

use rustix::io::{Errno, fcntl_dupfd_cloexec};

/// Moves a link above the descriptor of the lease that it must be closed before.
pub(super) fn above(lease: RawFd, link: OwnedFd) -> io::Result<OwnedFd> {
    if link.as_raw_fd() > lease {
        return Ok(link);
    }
    // The old descriptor is dropped; the link stays, as the new one holds it.
    fcntl_dupfd_cloexec(&link, lease + 1).map_err(|error| match error {
        // No such descriptor may be had at all (RLIMIT_NOFILE). It is nothing about the
        // instructions, which the kernel refuses by the same number.
        Errno::INVAL => Errno::MFILE.into(),
        error => error.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::fd::AsRawFd as _};

    use super::above;

    #[test]
    fn a_link_is_always_above_its_lease() {
        let open = || File::open("/dev/null").expect("a file");
        let (first, second) = (open(), open());
        let (low, high) = (first.as_raw_fd(), second.as_raw_fd());
        let (low, high) = (low.min(high), low.max(high));
        // It may stay where it is.
        let link = above(-1, first.into()).expect("a descriptor");
        assert!(link.as_raw_fd() >= low);
        let link = above(high, link).expect("a descriptor");
        assert!(link.as_raw_fd() > high, "{link:?}, lease {high}");
        let stays = link.as_raw_fd();
        assert_eq!(above(high, link).expect("it stays").as_raw_fd(), stays);
        drop(second);
    }
}
