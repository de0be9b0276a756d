//! Answers reads from a recording.
//!
//! Its reads are in the order of time. Of a place that was read more than once a replay
//! gives the next one from where it is, and behind the last one that one again: a reader
//! that asks as the recorded one did gets what that got, read by read, with everything
//! that changed in between. One that asks in another order gets what was there.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::Read;
use crate::runtime::{memory::error::MemoryError, vectored_read::VectoredRead};

/// Recorded places before the one that is asked for that are looked at.
const MOST_BEFORE: usize = 16;

/// A recording that is being read.
#[derive(Debug)]
pub(in crate::runtime) struct Replay {
    reads: Vec<Read>,
    /// Which reads are of a place of this length, in their order.
    index: BTreeMap<(u64, usize), Vec<usize>>,
    /// The read behind the last that was given.
    next: AtomicUsize,
    now_ns: u64,
    /// What is there after so many more places.
    #[cfg(test)]
    turn: Option<(AtomicUsize, Box<Replay>)>,
    /// Batch by batch, the pieces in the order in which a kernel reads them.
    #[cfg(test)]
    asked: Option<Asked>,
}

/// What a test sees of batches: where each piece begins and ends.
#[cfg(test)]
pub(super) type Asked = std::sync::Arc<std::sync::Mutex<Vec<Vec<std::ops::Range<u64>>>>>;

impl Replay {
    pub(super) fn new(reads: Vec<Read>, now_ns: u64) -> Self {
        let mut index: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (number, read) in reads.iter().enumerate() {
            let place = (read.address, read.bytes.len());
            index.entry(place).or_default().push(number);
        }
        Self {
            reads,
            index,
            next: AtomicUsize::new(0),
            now_ns,
            #[cfg(test)]
            turn: None,
            #[cfg(test)]
            asked: None,
        }
    }

    /// After so many places everything is as in another recording: the program ran on
    /// just then.
    #[cfg(test)]
    pub(super) fn turning(self, after: usize, other: Self) -> Self {
        Self {
            turn: Some((AtomicUsize::new(after), Box::new(other))),
            ..self
        }
    }

    /// Notes what is asked for, and in which order.
    #[cfg(test)]
    pub(super) fn noting(self, asked: &Asked) -> Self {
        Self {
            asked: Some(Asked::clone(asked)),
            ..self
        }
    }

    /// Whose turn it is to give a place.
    #[cfg(test)]
    fn now(&self) -> &Self {
        let Some((left, other)) = &self.turn else {
            return self;
        };
        let less = |left: usize| left.checked_sub(1);
        match left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) {
            Ok(_) => self,
            Err(_) => other,
        }
    }

    #[cfg(not(test))]
    const fn now(&self) -> &Self {
        self
    }

    /// When the recording was made.
    pub(in crate::runtime) const fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// Gives everything the batch asks for, or nothing.
    pub(in crate::runtime) fn fetch(&self, batch: &mut VectoredRead) -> Result<(), MemoryError> {
        #[cfg(test)]
        if let Some(asked) = &self.asked {
            let pieces = batch.pieces.iter();
            let pieces = pieces.map(|piece| piece.address..piece.address + piece.len as u64);
            asked.lock().expect("no panic").push(pieces.collect());
        }
        batch.fill(|address, into| self.now().give(address, into))
    }

    fn give(&self, address: u64, into: &mut [u8]) -> Result<(), MemoryError> {
        let len = into.len();
        let found = self.find(address, len);
        let (number, offset) = found.ok_or(MemoryError::NotRecorded { address, len })?;
        into.copy_from_slice(&self.reads[number].bytes[offset..offset + len]);
        self.next.store(number + 1, Ordering::Relaxed);
        Ok(())
    }

    /// The read that has this place, and where in it.
    fn find(&self, address: u64, len: usize) -> Option<(usize, usize)> {
        if let Some(numbers) = self.index.get(&(address, len)) {
            return Some((self.of_now(numbers)?, 0));
        }
        let before = self.index.range(..=(address, usize::MAX)).rev();
        let mut before = before.take(MOST_BEFORE);
        before.find_map(|((start, there), numbers)| {
            let offset = (address - start) as usize;
            let fits = offset.checked_add(len)? <= *there;
            fits.then_some((self.of_now(numbers)?, offset))
        })
    }

    /// The next of these, otherwise the last.
    fn of_now(&self, numbers: &[usize]) -> Option<usize> {
        let next = self.next.load(Ordering::Relaxed);
        let at = numbers.partition_point(|number| *number < next);
        numbers.get(at).or(numbers.last()).copied()
    }
}
