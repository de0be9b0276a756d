//! The memory of a Go process: of one that runs, or a recording of it. The readers
//! above do not know which.

mod live;

use std::{
    io, mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use self::live::Process;
pub(super) use super::batch::{Batch, Slot};
use super::recording::{Read, Recorder, Replay};
use crate::release::number;

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
    /// What was recorded does not have this.
    #[error("the recording has nothing of {len} bytes from {address:#x} on")]
    NotRecorded {
        /// Where.
        address: u64,
        /// How much was asked for.
        len: usize,
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
#[derive(Debug)]
pub(super) struct Memory {
    source: Source,
    bias: u64,
    /// Keeps what is read, where somebody asked for it.
    recorder: Option<Mutex<Recorder>>,
}

/// Where its bytes come from.
#[derive(Debug)]
enum Source {
    /// From the process itself.
    Live(Process),
    /// From a recording.
    Recorded(Replay),
}

impl Memory {
    /// The memory of a process that runs.
    pub(super) fn open(pid: u32, image: Image) -> Result<Self, MemoryError> {
        let process = Process::open(pid)?;
        Ok(Self {
            bias: process.bias(image)?,
            source: Source::Live(process),
            recorder: None,
        })
    }

    /// What was recorded of a process.
    pub(super) const fn recorded(replay: Replay, bias: u64) -> Self {
        Self {
            source: Source::Recorded(replay),
            bias,
            recorder: None,
        }
    }

    /// Keeps everything that is read from here on.
    pub(super) fn record(&mut self) {
        self.recorder = Some(Mutex::default());
    }

    /// What was read since [`Self::record`].
    pub(super) fn take_recorded(&mut self) -> Result<Vec<Read>, MemoryError> {
        let recorder = self.recorder.as_ref().map(|all| mem::take(&mut *lock(all)));
        recorder.unwrap_or_default().finish(self.pid())
    }

    /// How far the executable lies from where it was linked to.
    pub(super) const fn bias(&self) -> u64 {
        self.bias
    }

    /// Where a link-time address is in this process.
    pub(super) const fn live(&self, address: u64) -> u64 {
        address.wrapping_add(self.bias)
    }

    /// The link-time address of a live one.
    pub(super) const fn linked(&self, address: u64) -> u64 {
        address.wrapping_sub(self.bias)
    }

    /// Whose it is; 0 of a recording.
    pub(super) const fn pid(&self) -> u32 {
        match &self.source {
            Source::Live(process) => process.pid(),
            Source::Recorded(_) => 0,
        }
    }

    /// Whether it is still that of the same program.
    pub(super) fn is_same(&self) -> Result<bool, MemoryError> {
        match &self.source {
            Source::Live(process) => process.is_same(),
            Source::Recorded(_) => Ok(true),
        }
    }

    /// Now, by the clock of Go's `nanotime`.
    pub(super) fn now_ns(&self) -> u64 {
        match &self.source {
            Source::Live(_) => live::monotonic_ns(),
            Source::Recorded(replay) => replay.now_ns(),
        }
    }

    /// Reads everything the batch asks for, or nothing.
    pub(super) fn fetch(&self, batch: &mut Batch) -> Result<(), MemoryError> {
        batch.then();
        if batch.total > MAX_BYTES {
            return Err(MemoryError::TooMuch {
                pid: self.pid(),
                wanted: batch.total,
            });
        }
        // What a longer batch left behind it is overwritten or never looked at.
        if batch.bytes.len() < batch.total {
            batch.bytes.resize(batch.total, 0);
        }
        match &self.source {
            Source::Live(process) => process.fetch(batch)?,
            Source::Recorded(replay) => replay.fetch(batch)?,
        }
        if let Some(recorder) = &self.recorder {
            lock(recorder).note(batch);
        }
        Ok(())
    }
}

/// What it keeps is whole at every moment.
fn lock(recorder: &Mutex<Recorder>) -> MutexGuard<'_, Recorder> {
    recorder.lock().unwrap_or_else(PoisonError::into_inner)
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
