//! The list of Ms, remembered and walked again only when it changed.

use super::{
    error::StateError,
    layout::Layout,
    memory::{Batch, Memory, word, words},
};

/// Most Ms followed; each is one place to read at every sample.
pub(super) const MOST_THREADS: u64 = 2048;

/// What tells whether the list is still the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    /// The first M.
    pub(super) head: u64,
    /// Ms ever made.
    pub(super) made: u64,
    /// Ms given back.
    pub(super) freed: u64,
}

/// The Ms of a process.
#[derive(Default)]
pub(super) struct Threads {
    version: Option<Version>,
    /// Where each M keeps how long it waited; empty where it keeps nothing.
    places: Vec<(u64, usize)>,
    /// How many were made for threads that C creates.
    pub(super) extra: u64,
    batch: Batch,
}

impl Threads {
    /// Walks the list if it changed. `false` if there are too many.
    pub(super) fn update(
        &mut self,
        memory: &Memory,
        layout: &Layout,
        version: Version,
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
        let (mut places, mut owners) = (Vec::new(), Vec::new());
        let mut m = version.head;
        while m != 0 {
            if owners.len() as u64 > expected {
                return Err(StateError::Torn("allm"));
            }
            self.batch.clear();
            let next_slot = self.batch.add(m + next.offset as u64, 8);
            let locked_slot = self.batch.add(m + locked.offset as u64, 8);
            memory.fetch(&mut self.batch)?;
            let wait = layout.m.lock_wait;
            places.extend(wait.map(|wait| (m + wait.offset as u64, wait.size)));
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
                    self.batch.add(owner + g.created_by.offset as u64, 8),
                    self.batch.add(owner + g.goid.offset as u64, 8),
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

    /// The list, if there is one, leads nowhere any more.
    pub(super) fn forget(&mut self) {
        self.version = None;
        self.places.clear();
    }

    /// Whether [`Self::places`] are those of the list as it is now.
    pub(super) fn is_current(&self, version: Version) -> bool {
        self.version == Some(version)
    }

    /// What [`Self::lock_wait_of`] adds up, to be read with everything else.
    pub(super) fn places(&self) -> &[(u64, usize)] {
        &self.places
    }

    /// Nanoseconds the Ms waited for the runtime's own locks, by what was read
    /// at all [`Self::places`].
    pub(super) fn lock_wait_of(bytes: &[u8]) -> u64 {
        words(bytes).fold(0, u64::wrapping_add)
    }

    /// The same, read now.
    pub(super) fn lock_wait(&mut self, memory: &Memory) -> Result<u64, StateError> {
        self.batch.clear();
        let all = self.batch.add_all(&self.places);
        memory.fetch(&mut self.batch)?;
        Ok(Self::lock_wait_of(self.batch.bytes(all)))
    }
}
