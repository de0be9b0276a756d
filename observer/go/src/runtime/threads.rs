//! The list of Ms, remembered and walked again only when it changed.

use super::{
    error::StateError,
    memory::{Memory, VectoredRead, word},
    status::state,
};
use crate::release::{Layout, number};

/// Most Ms followed; each is one place to read at every sample.
pub(super) const MOST_THREADS: u64 = 2048;

/// What tells whether the list is still the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ThreadListVersion {
    /// The first M.
    pub(super) head: u64,
    /// Ms ever made.
    pub(super) made: u64,
    /// Ms given back.
    pub(super) freed: u64,
}

/// Goroutines that have an M.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OnThreads {
    /// In Go.
    pub(super) running: u64,
    /// In a system call or in C.
    pub(super) in_syscall: u64,
}

/// What the list of Ms tells.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OfThreads {
    /// Ms, and goroutine ids, taken for threads of C.
    pub(super) extra: Option<u64>,
    /// Time waited for mutexes.
    pub(super) mutex_wait_ns: Option<u64>,
    /// Goroutines that have an M.
    pub(super) running: Option<OnThreads>,
}

/// The Ms of a process.
#[derive(Default)]
pub(super) struct Threads {
    version: Option<ThreadListVersion>,
    /// Where each M keeps how long it waited, as far as Ms do, and behind these
    /// where each keeps the goroutine it has.
    places: Vec<(u64, usize)>,
    /// How many of the places are of the first kind.
    waits: usize,
    /// What was last found there.
    words: Vec<u64>,
    /// How many were made for threads that C creates.
    pub(super) extra: u64,
    batch: VectoredRead,
}

impl Threads {
    /// Walks the list if it changed. `false` if there are too many.
    pub(super) fn update(
        &mut self,
        memory: &Memory,
        layout: &Layout,
        version: ThreadListVersion,
    ) -> Result<bool, StateError> {
        let (Some(next), Some(locked)) = (layout.m.next, layout.m.locked_goroutine) else {
            return Ok(false);
        };
        let expected = version.made.saturating_sub(version.freed);
        if expected > MOST_THREADS {
            self.forget();
            return Ok(false);
        }
        if self.version == Some(version) {
            return Ok(true);
        }
        self.forget();
        let (mut places, mut current, mut owners) = (Vec::new(), Vec::new(), Vec::new());
        let mut m = version.head;
        while m != 0 {
            if owners.len() as u64 > expected {
                return Err(StateError::Torn("allm"));
            }
            self.batch.clear();
            let next_slot = self.batch.add(next.at(m), 8);
            let locked_slot = self.batch.add(locked.at(m), 8);
            memory.fetch(&mut self.batch)?;
            let wait = layout.m.lock_wait;
            places.extend(wait.map(|wait| (wait.at(m), wait.size)));
            let goroutine = layout.m.goroutine;
            current.extend(goroutine.map(|of| (of.at(m), of.size)));
            owners.push(word(self.batch.bytes(locked_slot), 0));
            m = word(self.batch.bytes(next_slot), 0);
        }
        // The count is the witness that these are Ms and this is their link.
        // A main thread that ended is counted as freed and stays in the list.
        let found = owners.len() as u64;
        if found != expected && found != expected + 1 {
            return Err(StateError::Torn("allm"));
        }
        self.extra = self.count_extra(memory, layout, &owners)?;
        self.waits = places.len();
        places.append(&mut current);
        self.places = places;
        self.version = Some(version);
        Ok(true)
    }

    /// An M for C's threads keeps a goroutine that no go statement made.
    fn count_extra(
        &mut self,
        memory: &Memory,
        layout: &Layout,
        owners: &[u64],
    ) -> Result<u64, StateError> {
        self.batch.clear();
        let g = &layout.g;
        let slots: Vec<_> = owners
            .iter()
            .filter(|owner| **owner != 0)
            .map(|owner| {
                (
                    self.batch.add(g.created_by.at(*owner), 8),
                    self.batch.add(g.goid.at(*owner), 8),
                )
            })
            .collect();
        if self.batch.is_empty() {
            return Ok(0);
        }
        memory.fetch(&mut self.batch)?;
        let is_extra = |(creator, id): &&(_, _)| {
            word(self.batch.bytes(*creator), 0) == 0 && word(self.batch.bytes(*id), 0) != 0
        };
        Ok(slots.iter().filter(is_extra).count() as u64)
    }

    /// Exchanges the buffer that is read into.
    pub(super) fn swap_buffer(&mut self, other: &mut VectoredRead) {
        std::mem::swap(&mut self.batch, other);
    }

    /// The list, if there is one, leads nowhere any more.
    pub(super) fn forget(&mut self) {
        self.version = None;
        self.places.clear();
    }

    /// Whether [`Self::places`] are those of the list as it is now.
    pub(super) fn is_current(&self, version: ThreadListVersion) -> bool {
        self.version == Some(version)
    }

    /// What [`Self::take`] takes, to be read with everything else.
    pub(super) fn places(&self) -> &[(u64, usize)] {
        &self.places
    }

    /// Takes what was read at all [`Self::places`].
    pub(super) fn take<'a>(&mut self, found: impl Iterator<Item = &'a [u8]>) {
        self.words.clear();
        self.words.extend(found.map(|bytes| word(bytes, 0)));
    }

    /// The same, read now.
    pub(super) fn read(&mut self, memory: &Memory) -> Result<(), StateError> {
        self.batch.clear();
        let places = self.places.iter();
        let slots: Vec<_> = places
            .map(|&(address, size)| self.batch.add(address, size))
            .collect();
        memory.fetch(&mut self.batch)?;
        self.words.clear();
        let found = slots.into_iter().map(|slot| self.batch.bytes(slot));
        self.words.extend(found.map(|bytes| word(bytes, 0)));
        Ok(())
    }

    /// Nanoseconds the Ms waited for the runtime's own locks.
    pub(super) fn lock_wait(&self) -> u64 {
        let waits = self.words.iter().take(self.waits);
        waits.fold(0, |sum, wait| sum.wrapping_add(*wait))
    }

    /// How many goroutines run, and how many are in system calls or in C. Each
    /// of them has an M, so there is no need to look at all goroutines.
    pub(super) fn on_threads(
        &mut self,
        memory: &Memory,
        layout: &Layout,
    ) -> Result<Option<OnThreads>, StateError> {
        if layout.m.goroutine.is_none() {
            return Ok(None);
        }
        self.batch.clear();
        let status = layout.g.status;
        let current = self.words.iter().skip(self.waits).filter(|g| **g != 0);
        let slots: Vec<_> = current
            .map(|g| self.batch.add(status.at(*g), status.size))
            .collect();
        let mut found = OnThreads::default();
        if slots.is_empty() {
            return Ok(Some(found));
        }
        memory.fetch(&mut self.batch)?;
        for slot in slots {
            match state(number(self.batch.bytes(slot), 0, status.size)) {
                Some("running") => found.running += 1,
                Some("syscall") => found.in_syscall += 1,
                _ => {}
            }
        }
        Ok(Some(found))
    }
}
