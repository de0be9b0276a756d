//! A link: what makes the kernel run the program at a site.

use std::os::fd::OwnedFd;

use super::{lease::Lease, perf_event::PerfLink};

/// A link in the kernel, until it is dropped; that waits for running programs.
pub(super) enum Link {
    /// To some sites of one file.
    Multi(OwnedFd),
    /// To one site.
    Perf(PerfLink),
    /// Not one itself: what keeps writers from the file. It goes last, and is no
    /// more than that where it is the last of a list.
    Lease(Lease),
}
