//! Reading another process's memory, many places in one system call.

use std::{fs, io};

use super::batch::Piece;
pub(super) use super::batch::{Batch, Slot};
use crate::release::number;

/// Most places one `process_vm_readv` takes (`IOV_MAX`).
const MAX_PARTS: usize = 1024;
/// Most bytes gathered at once: more than a machine of a thousand CPUs needs, and
/// so little that a forged length costs the observer nothing.
const MAX_BYTES: usize = 16 << 20;

/// How the executable is laid out, as far as finding it in memory goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// `e_entry` of the ELF header.
    pub entry: u64,
}

/// Why memory could not be read.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// Needs CAP_SYS_PTRACE, or a security module forbids it.
    #[error(
        "not permitted to read the memory of process {pid}: the observer needs CAP_SYS_PTRACE, \
         and no security module (AppArmor, SELinux, Yama) may forbid it"
    )]
    Permission {
        /// Whose memory.
        pid: u32,
    },
    /// It exited or runs something else now.
    #[error("process {pid} is gone")]
    Gone {
        /// Which.
        pid: u32,
    },
    /// An address is not mapped: the state moved while it was read, or it is
    /// not where the layout says.
    #[error("process {pid}: {got} of {wanted} bytes could be read from {address:#x} on")]
    Fault {
        /// Whose memory.
        pid: u32,
        /// The first place asked for.
        address: u64,
        /// Bytes asked for.
        wanted: usize,
        /// Bytes there were.
        got: usize,
    },
    /// No honest program needs as much to be read.
    #[error(
        "process {pid}: {wanted} bytes would have to be read at once, and at most {MAX_BYTES} are"
    )]
    TooMuch {
        /// Whose memory.
        pid: u32,
        /// Bytes asked for.
        wanted: usize,
    },
    /// `/proc/PID/auxv` names no entry point.
    #[error("process {pid}: no AT_ENTRY in its auxiliary vector")]
    NoEntry {
        /// Which.
        pid: u32,
    },
    /// Anything else.
    #[error("reading the memory of process {pid}: {source}")]
    Other {
        /// Whose memory.
        pid: u32,
        /// What the kernel said.
        source: io::Error,
    },
}

/// The memory of one process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    pid: u32,
    bias: u64,
}

impl Memory {
    /// Finds where the kernel put the executable: the entry point the process
    /// was given less the one in the file. Right for fixed, position
    /// independent and externally linked executables alike.
    pub(super) fn open(pid: u32, image: Image) -> Result<Self, MemoryError> {
        let auxv = auxiliary_vector(pid)?;
        let mut values = words(&auxv);
        let entry = loop {
            match (values.next(), values.next()) {
                (Some(libc::AT_ENTRY), Some(entry)) => break entry,
                (Some(_), Some(_)) => {}
                _ => return Err(MemoryError::NoEntry { pid }),
            }
        };
        Ok(Self {
            pid,
            bias: entry.wrapping_sub(image.entry),
        })
    }

    /// Where a link-time address is in this process.
    pub(super) const fn live(&self, address: u64) -> u64 {
        address.wrapping_add(self.bias)
    }

    /// The link-time address of a live one.
    pub(super) const fn linked(&self, address: u64) -> u64 {
        address.wrapping_sub(self.bias)
    }

    /// Reads everything the batch asks for, or nothing.
    pub(super) fn fetch(&self, batch: &mut Batch) -> Result<(), MemoryError> {
        batch.then();
        let Batch {
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
        if *total > MAX_BYTES {
            return Err(MemoryError::TooMuch {
                pid: self.pid,
                wanted: *total,
            });
        }
        // What a longer batch left behind it is overwritten or never looked at.
        if bytes.len() < *total {
            bytes.resize(*total, 0);
        }
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
pub(super) fn auxiliary_vector(pid: u32) -> Result<Vec<u8>, MemoryError> {
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

/// Eight bytes each, little-endian.
pub(super) fn words(bytes: &[u8]) -> impl Iterator<Item = u64> + Clone {
    bytes.as_chunks().0.iter().copied().map(u64::from_le_bytes)
}

/// Whether both are the same. Much faster than `==` where the C library is
/// musl, whose `memcmp` looks at one byte at a time.
pub(super) fn same(left: &[u8], right: &[u8]) -> bool {
    let ((left, left_rest), (right, right_rest)) = (left.as_chunks(), right.as_chunks());
    let differ = |differ: u64, (left, right): (&[u8; 8], &[u8; 8])| {
        differ | (u64::from_ne_bytes(*left) ^ u64::from_ne_bytes(*right))
    };
    left.len() == right.len()
        && left_rest == right_rest
        && left.iter().zip(right).fold(0, differ) == 0
}

/// Eight bytes, little-endian; 0 beyond the end.
pub(super) fn word(bytes: &[u8], offset: usize) -> u64 {
    number(bytes, offset, 8)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::{Batch, Image, Memory, MemoryError, same, word, words};

    fn own() -> Memory {
        Memory::open(std::process::id(), Image { entry: 0 })
            .map(|memory| Memory { bias: 0, ..memory })
            .unwrap()
    }

    #[test]
    fn reads_many_places_at_once() {
        let values: Vec<u64> = (0..3000).collect();
        let mut batch = Batch::default();
        let slots: Vec<_> = values
            .iter()
            .map(|value| batch.add(std::ptr::from_ref(value) as u64, 8))
            .collect();
        own().fetch(&mut batch).unwrap();
        for (value, slot) in values.iter().zip(slots) {
            assert_eq!(word(batch.bytes(slot), 0), *value);
        }
    }

    #[test]
    fn neighbours_are_read_in_one_piece_and_in_order() {
        let values: Vec<u64> = (0..1000).collect();
        let at = |place: usize| values.as_ptr() as u64 + 8 * place as u64;
        let mut batch = Batch::default();
        let places = [
            (500, 3),
            (0, 2),
            (501, 1),
            (1, 4),
            (10, 1),
            (999, 1),
            (500, 9),
        ];
        let slots = places.map(|(place, n)| (place, n, batch.add(at(place), 8 * n)));
        batch.then();
        let after = batch.add(at(2), 8);
        own().fetch(&mut batch).unwrap();
        for (place, n, slot) in slots {
            let found: Vec<u64> = words(batch.bytes(slot)).collect();
            assert_eq!(found, values[place..place + n]);
        }
        assert_eq!(word(batch.bytes(after), 0), 2);
        let pieces: Vec<_> = batch.pieces.iter().map(|p| (p.address, p.len)).collect();
        assert_eq!(
            pieces,
            [(at(0), 88), (at(500), 72), (at(999), 8), (at(2), 8)]
        );
    }

    #[test]
    fn sameness_is_of_every_byte() {
        let bytes: Vec<u8> = (0..100).collect();
        for len in [0, 7, 8, 99, 100] {
            assert!(same(&bytes[..len], &bytes.clone()[..len]));
            assert!(len == 100 || !same(&bytes[..len], &bytes));
            for at in 0..len {
                let mut other = bytes.clone();
                other[at] ^= 0x40;
                assert!(!same(&bytes[..len], &other[..len]), "{at} of {len}");
            }
        }
    }

    #[test]
    fn an_unmapped_address_is_a_fault() {
        let mut batch = Batch::default();
        batch.add(8, 8);
        assert!(matches!(
            own().fetch(&mut batch),
            Err(MemoryError::Fault { got: 0, .. })
        ));
    }

    #[test]
    fn a_forged_length_becomes_no_allocation() {
        let mut batch = Batch::default();
        batch.add(0x1000_0000, 64 << 20);
        assert!(matches!(
            own().fetch(&mut batch),
            Err(MemoryError::TooMuch { .. })
        ));
        assert_eq!(batch.bytes.capacity(), 0);
    }

    #[test]
    fn a_dead_process_is_gone() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert!(matches!(
            Memory::open(pid, Image { entry: 0 }),
            Err(MemoryError::Gone { .. })
        ));
    }
}
