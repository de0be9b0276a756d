//! Files that a thread of the kernel closes, while the process may end.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::io_uring::{IoringRegisterOp, io_uring_params, io_uring_register, io_uring_setup};

/// The most files that a ring takes on every kernel.
const ROOM: usize = 1 << 15;

/// Holds some files until it is dropped. The kernel tears a ring down on a
/// thread of its own, and closes there what nobody else holds by then.
pub(super) struct BackgroundClose {
    _rings: Vec<OwnedFd>,
}

impl BackgroundClose {
    /// Some seccomp profiles and settings of the kernel forbid it.
    pub(super) fn of<F: AsFd>(files: &[F]) -> io::Result<Self> {
        let rings = files.chunks(ROOM).map(|files| {
            let mut params = io_uring_params::default();
            // SAFETY: no flag is set.
            let ring = unsafe { io_uring_setup(1, &mut params) }?;
            let files: Vec<BorrowedFd<'_>> = files.iter().map(AsFd::as_fd).collect();
            // SAFETY: the kernel reads that many descriptors, which `BorrowedFd` is laid out as.
            unsafe {
                io_uring_register(
                    &ring,
                    IoringRegisterOp::RegisterFiles,
                    files.as_ptr().cast(),
                    files.len() as u32,
                )
            }?;
            Ok(ring)
        });
        Ok(Self {
            _rings: rings.collect::<io::Result<_>>()?,
        })
    }
}
