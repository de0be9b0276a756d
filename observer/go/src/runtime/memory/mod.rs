//! The memory of a Go process: of one that runs, or a recording of it. The readers
//! above do not know which.

pub(super) mod error;
mod live;
pub(super) mod words;

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

pub(super) use self::words::{same, word, words};
use self::{error::MAX_BYTES, live::Process};
pub use self::{error::MemoryError, live::ProgramLayout};
pub(super) use super::vectored_read::{Slot, VectoredRead};
use super::{
    machine_limits::cpus,
    recording::{read::Read, recorder::Recorder, replay::Replay},
};

/// The largest number of CPUs that Linux is built for (`NR_CPUS`).
const MOST_CPUS: u64 = 8192;

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
    pub(super) fn open(pid: u32, image: ProgramLayout) -> Result<Self, MemoryError> {
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

    /// How many CPUs its machine may have. A recording does not say it: as many as Linux
    /// can have, so that it is read alike on every machine.
    pub(super) fn cpus(&self) -> u64 {
        match &self.source {
            Source::Live(_) => cpus(),
            Source::Recorded(_) => MOST_CPUS,
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
    pub(super) fn fetch(&self, batch: &mut VectoredRead) -> Result<(), MemoryError> {
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, AtomicU64, Ordering},
        thread,
    };

    use super::{Memory, MemoryError, ProgramLayout, VectoredRead, word, words};

    fn own() -> Memory {
        Memory::open(std::process::id(), ProgramLayout { entry: 0 })
            .map(|memory| Memory { bias: 0, ..memory })
            .unwrap()
    }

    #[test]
    fn reads_many_places_at_once() {
        let values: Vec<u64> = (0..3000).collect();
        let mut batch = VectoredRead::default();
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
        let mut batch = VectoredRead::default();
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

    /// What `vectored_read.rs` says of the order of pieces, on the processor and the kernel
    /// that this runs on.
    #[test]
    fn what_is_read_then_is_not_older_than_what_was_read_before() {
        const MOST_READS: u32 = 100_000;
        const CHANGES: u32 = 300;
        let words: Vec<AtomicU64> = (0..2048).map(|_| AtomicU64::new(0)).collect();
        // The one that is asked for last lies first, so the order of addresses would be wrong.
        let (first, last) = (&words[0], &words[2047]);
        let (memory, mut batch) = (own(), VectoredRead::default());
        let stop = AtomicBool::new(false);
        let mut wrong = None;
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    first.store(number, Ordering::Relaxed);
                    last.store(number, Ordering::Release);
                }
            });
            let (mut changes, mut before) = (0, 0);
            for _ in 0..MOST_READS {
                batch.clear();
                let later = batch.add(std::ptr::from_ref(last) as u64, 8);
                batch.then();
                let earlier = batch.add(std::ptr::from_ref(first) as u64, 8);
                if memory.fetch(&mut batch).is_err() {
                    break;
                }
                let word = |slot| word(batch.bytes(slot), 0);
                if word(earlier) < word(later) {
                    wrong = Some((word(earlier), word(later)));
                    break;
                }
                changes += u32::from(word(later) != before);
                before = word(later);
                if changes == CHANGES {
                    break;
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!(wrong, None);
    }

    #[test]
    fn an_unmapped_address_is_a_fault() {
        let mut batch = VectoredRead::default();
        batch.add(8, 8);
        assert!(matches!(
            own().fetch(&mut batch),
            Err(MemoryError::Fault { got: 0, .. })
        ));
    }

    #[test]
    fn a_forged_length_becomes_no_allocation() {
        let mut batch = VectoredRead::default();
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
            Memory::open(pid, ProgramLayout { entry: 0 }),
            Err(MemoryError::Gone { .. })
        ));
    }
}
