//! The memory of a process that runs, read by `process_vm_readv`.

use std::{fs, io};

use super::{error::MemoryError, words::words};
use crate::runtime::vectored_read::{Piece, VectoredRead};

/// Most places one `process_vm_readv` takes (`IOV_MAX`).
const MAX_PARTS: usize = 1024;

/// How the executable is laid out, as far as finding it in memory goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramLayout {
    /// `e_entry` of the ELF header.
    pub entry: u64,
}

/// A process that runs.
#[derive(Debug)]
pub(in crate::runtime) struct Process {
    pid: u32,
    auxv: Vec<u8>,
}

impl Process {
    pub(super) fn open(pid: u32) -> Result<Self, MemoryError> {
        let auxv = auxiliary_vector(pid)?;
        Ok(Self { pid, auxv })
    }

    pub(super) const fn pid(&self) -> u32 {
        self.pid
    }

    /// Where the kernel put the executable: the entry point the process
    /// was given less the one in the file. Right for fixed, position
    /// independent and externally linked executables alike.
    pub(super) fn bias(&self, image: ProgramLayout) -> Result<u64, MemoryError> {
        let mut values = words(&self.auxv);
        loop {
            match (values.next(), values.next()) {
                (Some(libc::AT_ENTRY), Some(entry)) => return Ok(entry.wrapping_sub(image.entry)),
                (Some(_), Some(_)) => {}
                _ => return Err(MemoryError::NoEntry { pid: self.pid }),
            }
        }
    }

    /// Whether it still runs the program that it ran at first.
    pub(super) fn is_same(&self) -> Result<bool, MemoryError> {
        Ok(auxiliary_vector(self.pid)? == self.auxv)
    }

    /// Reads all pieces of the batch, or nothing.
    pub(super) fn fetch(&self, batch: &mut VectoredRead) -> Result<(), MemoryError> {
        let VectoredRead {
            pieces,
            bytes,
            total,
            ..
        } = batch;
        let fault = |got| MemoryError::Fault {
            pid: self.pid,
            address: pieces.first().map_or(0, |piece| piece.address),
            wanted: *total,
            got,
        };
        let mut done = 0;
        for chunk in pieces.chunks(MAX_PARTS) {
            let wanted: usize = chunk.iter().map(|piece| piece.len).sum();
            let got = self.read(chunk, &mut bytes[done..done + wanted])?;
            if got != wanted {
                return Err(fault(done + got));
            }
            done += wanted;
        }
        Ok(())
    }

    fn read(&self, pieces: &[Piece], into: &mut [u8]) -> Result<usize, MemoryError> {
        let local = libc::iovec {
            iov_base: into.as_mut_ptr().cast(),
            iov_len: into.len(),
        };
        // SAFETY: `local` is one valid, exclusively borrowed buffer of the
        // length it says; a `Piece` has the layout of an `iovec`, and the
        // addresses in them belong to the other process, where the kernel
        // checks them.
        let got = unsafe {
            libc::process_vm_readv(
                self.pid as libc::pid_t,
                &raw const local,
                1,
                pieces.as_ptr().cast::<libc::iovec>(),
                pieces.len() as libc::c_ulong,
                0,
            )
        };
        if got >= 0 {
            return Ok(got as usize);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EFAULT) => Ok(0),
            Some(libc::EPERM) => Err(MemoryError::Permission { pid: self.pid }),
            Some(libc::ESRCH) => Err(MemoryError::Gone { pid: self.pid }),
            _ => Err(MemoryError::Other {
                pid: self.pid,
                source: error,
            }),
        }
    }
}

/// What the kernel told the program when it started it: random addresses
/// among others, so each `exec` has its own.
fn auxiliary_vector(pid: u32) -> Result<Vec<u8>, MemoryError> {
    let auxv = fs::read(format!("/proc/{pid}/auxv")).map_err(|e| file_error(pid, e))?;
    if auxv.is_empty() {
        // A process that is ending has no memory any more.
        return Err(MemoryError::Gone { pid });
    }
    Ok(auxv)
}

fn file_error(pid: u32, source: io::Error) -> MemoryError {
    match source.raw_os_error() {
        Some(libc::ENOENT | libc::ESRCH) => MemoryError::Gone { pid },
        Some(libc::EACCES | libc::EPERM) => MemoryError::Permission { pid },
        _ => MemoryError::Other { pid, source },
    }
}

/// The clock of Go's `nanotime`.
pub(super) fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
