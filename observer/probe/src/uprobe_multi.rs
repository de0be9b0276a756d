//! `uprobe_multi` links: one for many sites of a file (Linux 6.6).
//!
//! They are made here and not by aya, because its links do not give their
//! descriptors away, whose numbers matter ([`order`](super::close_order)).

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsRawFd as _, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use aya_obj::generated::{bpf_attach_type::BPF_TRACE_UPROBE_MULTI, bpf_cmd};
use thiserror::Error;

use super::sys::{bpf_fd, zeroed};

/// Why a link could not be made.
#[derive(Debug, Error)]
#[error("bpf_link_create failed")]
pub(super) struct MultiError(#[from] io::Error);

/// Where a probe is to stand.
pub(super) struct ProbeLocation {
    /// Bytes from the beginning of the file.
    pub(super) offset: u64,
    /// What the program is told at each hit.
    pub(super) cookie: u64,
}

/// Sets a probe on each of some points of a file, for all processes.
pub(super) fn link(
    program: BorrowedFd<'_>,
    path: &Path,
    points: &[ProbeLocation],
) -> Result<OwnedFd, MultiError> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(io::Error::from)?;
    let offsets: Vec<u64> = points.iter().map(|point| point.offset).collect();
    let cookies: Vec<u64> = points.iter().map(|point| point.cookie).collect();
    let mut attr = zeroed();
    attr.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd() as u32;
    attr.link_create.attach_type = BPF_TRACE_UPROBE_MULTI as u32;
    // SAFETY: all of the union is zero, so any of its variants is valid.
    let multi = unsafe { &mut attr.link_create.__bindgen_anon_3.uprobe_multi };
    multi.path = path.as_ptr().expose_provenance() as u64;
    multi.offsets = offsets.as_ptr().expose_provenance() as u64;
    multi.cookies = cookies.as_ptr().expose_provenance() as u64;
    multi.cnt = points.len() as u32;
    // SAFETY: the command makes a descriptor. The path ends with a zero, both
    // lists are as long as is said, and all three live during the call.
    Ok(unsafe { bpf_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr) }?)
}
