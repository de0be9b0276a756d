//! Keeps what is read of a process that runs.

use std::{collections::HashMap, sync::Arc};

use super::read::Read;
use crate::runtime::{
    memory::{error::MemoryError, words::same},
    vectored_read::VectoredRead,
};

/// Most bytes kept. A sample of a machine of a thousand CPUs reads a tenth of it; only
/// a walk over a hundred thousand goroutines reads more.
pub(super) const MOST_BYTES: usize = 64 << 20;

/// Keeps what is read.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Recorder {
    reads: Vec<Read>,
    /// What was last found at each place.
    known: HashMap<(u64, usize), Arc<[u8]>>,
    /// Bytes read, those that are not kept any more included.
    held: usize,
}

impl Recorder {
    /// Keeps what was read into a batch: what was asked for, and not what lies between.
    pub(in crate::runtime) fn note(&mut self, batch: &VectoredRead) {
        for (address, bytes) in batch.places() {
            let place = (address, bytes.len());
            let known = self.known.get(&place).filter(|known| same(known, bytes));
            let bytes = if let Some(known) = known {
                Arc::clone(known)
            } else {
                self.held = self.held.saturating_add(bytes.len());
                if self.held > MOST_BYTES {
                    continue;
                }
                let bytes: Arc<[u8]> = bytes.into();
                self.known.insert(place, Arc::clone(&bytes));
                bytes
            };
            self.reads.push(Read { address, bytes });
        }
    }

    /// Everything that was read; an error where that is too much to be kept.
    pub(in crate::runtime) fn finish(self, pid: u32) -> Result<Vec<Read>, MemoryError> {
        if self.held > MOST_BYTES {
            let wanted = self.held;
            return Err(MemoryError::TooMuch { pid, wanted });
        }
        Ok(self.reads)
    }
}
