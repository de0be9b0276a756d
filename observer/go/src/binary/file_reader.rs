//! Bounded reading of a file.
//!
//! Files are read with `pread`, not mapped: a file that is truncated while it
//! is mapped, or whose FUSE server goes away, kills the reader by SIGBUS, and
//! what a container runs is not the observer's to trust.

use std::{cell::Cell, fs::File, os::unix::fs::FileExt};

use super::error::InspectError;

/// Size of the pieces in which large tables are read.
pub(super) const CHUNK: usize = 1 << 20;

/// Bytes that one inspection may read: this many times the file's size …
const WORK_PER_BYTE: u64 = 6;
/// … plus this, so that small files with many tables pass …
const WORK_FIXED: u64 = 16 << 20;
/// … and never more than this.
const WORK_MAX: u64 = 6 << 30;
/// What a read costs at least, so that many tiny reads are bounded too.
const WORK_PER_READ: u64 = 64;

#[derive(Clone, Copy)]
enum Source<'s> {
    File(&'s File),
    Memory(&'s [u8]),
}

/// A file or its bytes, and how much of it may still be read.
pub(super) struct FileReader<'s> {
    source: Source<'s>,
    size: u64,
    budget: u64,
    left: Cell<u64>,
}

impl<'s> FileReader<'s> {
    pub(super) fn file(file: &'s File) -> Result<Self, InspectError> {
        let size = file.metadata().map_err(InspectError::Metadata)?.len();
        Ok(Self::new(Source::File(file), size))
    }

    pub(super) fn memory(data: &'s [u8]) -> Self {
        Self::new(Source::Memory(data), data.len() as u64)
    }

    fn new(source: Source<'s>, size: u64) -> Self {
        let budget = size
            .saturating_mul(WORK_PER_BYTE)
            .saturating_add(WORK_FIXED)
            .min(WORK_MAX);
        Self {
            source,
            size,
            budget,
            left: Cell::new(budget),
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Takes `work` from the budget, for work that is not reading.
    pub(super) fn charge(&self, work: u64) -> Result<(), InspectError> {
        match self.left.get().checked_sub(work) {
            Some(left) => self.left.set(left),
            None => {
                return Err(InspectError::WorkExceeded {
                    budget: self.budget,
                });
            }
        }
        Ok(())
    }

    /// Fills `buffer` from `offset`.
    pub(super) fn read(
        &self,
        what: &'static str,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<(), InspectError> {
        let need = buffer.len() as u64;
        let end = offset.checked_add(need).filter(|&end| end <= self.size);
        let Some(end) = end else {
            return Err(InspectError::Truncated {
                what,
                at: offset,
                need,
            });
        };
        self.charge(need.max(WORK_PER_READ))?;
        match self.source {
            Source::Memory(data) => buffer.copy_from_slice(&data[offset as usize..end as usize]),
            Source::File(file) => file.read_exact_at(buffer, offset).map_err(|source| {
                // The file shrank since its size was read.
                if source.kind() == std::io::ErrorKind::UnexpectedEof {
                    InspectError::Truncated {
                        what,
                        at: offset,
                        need,
                    }
                } else {
                    InspectError::Io {
                        offset,
                        size: need,
                        source,
                    }
                }
            })?,
        }
        Ok(())
    }

    /// Reads `size` bytes, at most `limit`.
    pub(super) fn bytes(
        &self,
        what: &'static str,
        offset: u64,
        size: u64,
        limit: u64,
    ) -> Result<Vec<u8>, InspectError> {
        if size > limit {
            return Err(InspectError::TooLarge {
                what,
                value: size,
                limit,
            });
        }
        if offset.checked_add(size).is_none_or(|end| end > self.size) {
            return Err(InspectError::Truncated {
                what,
                at: offset,
                need: size,
            });
        }
        let mut buffer = vec![0; size as usize];
        self.read(what, offset, &mut buffer)?;
        Ok(buffer)
    }
}

/// `u32` at `at`; the caller has checked that it is there.
pub(super) fn u32_at(data: &[u8], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&data[at..at + 4]);
    u32::from_le_bytes(bytes)
}

/// `u64` at `at`; the caller has checked that it is there.
pub(super) fn u64_at(data: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&data[at..at + 8]);
    u64::from_le_bytes(bytes)
}

/// A stretch of the file that small reads go through, for tables that are
/// walked forwards.
pub(super) struct Window<'r, 's> {
    reader: &'r FileReader<'s>,
    what: &'static str,
    end: u64,
    at: u64,
    buffer: Vec<u8>,
    step: u64,
}

impl<'r, 's> Window<'r, 's> {
    /// Reads within the file offsets up to `end`, `step` bytes at a time.
    pub(super) fn new(
        reader: &'r FileReader<'s>,
        what: &'static str,
        end: u64,
        step: usize,
    ) -> Self {
        let end = end.min(reader.size());
        Self {
            reader,
            what,
            end,
            at: 0,
            buffer: Vec::new(),
            step: step as u64,
        }
    }

    /// `size` bytes (at most the step) at a file offset.
    pub(super) fn get(&mut self, offset: u64, size: usize) -> Result<&[u8], InspectError> {
        let need = size as u64;
        let inside = offset >= self.at && offset - self.at + need <= self.buffer.len() as u64;
        if !inside {
            if offset.checked_add(need).is_none_or(|end| end > self.end) {
                return Err(InspectError::Truncated {
                    what: self.what,
                    at: offset,
                    need,
                });
            }
            let length = (self.end - offset).min(self.step.max(need)) as usize;
            self.buffer.resize(length, 0);
            if let Err(error) = self.reader.read(self.what, offset, &mut self.buffer) {
                self.buffer.clear();
                return Err(error);
            }
            self.at = offset;
        }
        let start = (offset - self.at) as usize;
        Ok(&self.buffer[start..start + size])
    }
}
