//! The list of Ms, remembered and walked again only when it changed.

use super::{
    error::StateError,
    goroutines::state,
    layout::Layout,
    memory::{Batch, Memory, number, word},
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

/// Goroutines that have an M.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OnThreads {
    /// In Go.
    pub(super) running: u64,
    /// In a system call or in C.
    pub(super) in_syscall: u64,
}

/// The Ms of a process.
#[derive(Default)]
pub(super) struct Threads {
    version: Option<Version>,
    list: Vec<u64>,
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
            return Ok(false);
        }
        if self.version == Some(version) {
            return Ok(true);
        }
        self.version = None;
        self.list.clear();
        let mut owners = Vec::new();
        let mut m = version.head;
        while m != 0 {
            if self.list.len() as u64 > expected {
                return Err(StateError::Torn("allm"));
            }
            self.batch.clear();
            let next_slot = self.batch.add(m + next.offset as u64, 8);
            let locked_slot = self.batch.add(m + locked.offset as u64, 8);
            memory.fetch(&mut self.batch)?;
            self.list.push(m);
            owners.push(word(self.batch.bytes(locked_slot), 0));
            m = word(self.batch.bytes(next_slot), 0);
        }
        // The count is the witness that these are Ms and this is their link.
        // A main thread that ended is counted as freed and stays in the list.
        let found = self.list.len() as u64;
        if found != expected && found != expected + 1 {
            return Err(StateError::Torn("allm"));
        }
        self.extra = self.count_extra(memory, layout, &owners)?;
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

    /// How many goroutines run, and how many are in system calls or in C. Each
    /// of them has an M, so there is no need to look at all goroutines.
    pub(super) fn on_threads(
        &mut self,
        memory: &Memory,
        layout: &Layout,
    ) -> Result<Option<OnThreads>, StateError> {
        let Some(current) = layout.m.goroutine else {
            return Ok(None);
        };
        self.batch.clear();
        let slots: Vec<_> = self
            .list
            .iter()
            .map(|m| self.batch.add(m + current.offset as u64, current.size))
            .collect();
        memory.fetch(&mut self.batch)?;
        let goroutines: Vec<_> = slots
            .iter()
            .map(|slot| word(self.batch.bytes(*slot), 0))
            .filter(|g| *g != 0)
            .collect();
        self.batch.clear();
        let status = layout.g.status;
        let slots: Vec<_> = goroutines
            .iter()
            .map(|g| self.batch.add(g + status.offset as u64, status.size))
            .collect();
        memory.fetch(&mut self.batch)?;
        let mut found = OnThreads::default();
        for slot in slots {
            match state(number(self.batch.bytes(slot), 0, status.size)) {
                Some("running") => found.running += 1,
                Some("syscall") => found.in_syscall += 1,
                _ => {}
            }
        }
        Ok(Some(found))
    }

    /// Nanoseconds the Ms waited for the runtime's own locks.
    pub(super) fn lock_wait(
        &mut self,
        memory: &Memory,
        layout: &Layout,
    ) -> Result<Option<u64>, StateError> {
        let Some(wait) = layout.m.lock_wait else {
            return Ok(None);
        };
        self.batch.clear();
        let slots: Vec<_> = self
            .list
            .iter()
            .map(|m| self.batch.add(m + wait.offset as u64, wait.size))
            .collect();
        memory.fetch(&mut self.batch)?;
        let waits = slots.iter().map(|slot| word(self.batch.bytes(*slot), 0));
        Ok(Some(waits.fold(0, u64::wrapping_add)))
    }
}
