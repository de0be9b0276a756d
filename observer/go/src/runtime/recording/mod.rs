//! What a reader read of a process's memory, kept, and read once more later.
//!
//! A recording makes what one process had at one moment a file: of a bug report, or of
//! a test. The same readers run over it, so it shows what they see and say, without the
//! process, its program, its machine or any right.
//!
//! It has the places that were asked for and the bytes that were there, in the order of
//! reading, and of the program what finds the layout: the release, the runtime's globals,
//! and the layout itself where only the program tells it. `format.rs` says how a file has
//! these.

mod format;
mod parse;
mod program;
mod record;
mod recorder;
mod replay;
#[cfg(any(test, feature = "fuzz"))]
pub mod strangers;
#[cfg(test)]
mod tests;

use std::{io, sync::Arc};

use self::program::Program;
pub use self::record::{Recorded, record};
pub(super) use self::{recorder::Recorder, replay::Replay};
use super::{Reader, StateError, memory::Memory};
use crate::release::LayoutError;

/// What was read of one process, and of which program.
#[derive(Clone, Debug)]
pub struct Recording {
    program: Program,
    /// How far the program lay from where it was linked to.
    bias: u64,
    /// When it was made, by the clock of Go's `nanotime`.
    now_ns: u64,
    reads: Vec<Read>,
}

/// A place and what was there. A place that was read twice and had not changed has its
/// bytes once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) address: u64,
    pub(super) bytes: Arc<[u8]>,
}

/// Why a file is no recording that could be replayed.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It could not be read, or its compression is damaged.
    #[error("cannot read the recording: {0}")]
    Io(#[from] io::Error),
    /// It is something else, or of a format that this observer does not know.
    #[error("this is no recording of this observer's format; its first line is to be `{first}`")]
    NotOne {
        /// What is expected.
        first: &'static str,
    },
    /// A line of it is not as it must be.
    #[error("line {line} of the recording: {what}")]
    Line {
        /// Which.
        line: usize,
        /// What is expected there.
        what: &'static str,
    },
    /// Larger than any that is made.
    #[error("the recording is larger than {most} bytes")]
    TooLarge {
        /// As long as text.
        most: usize,
    },
    /// It lacks the line that says the release, or says none that is known.
    #[error("the recording is of {0:?}, which is no release of Go that is known")]
    Version(String),
    /// No layout is known for the program.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// It lacks a global.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Recording {
    /// A reader of what was recorded.
    pub fn reader(&self) -> Result<Reader, RecordingError> {
        let layout = self.program.layout()?;
        let replay = Replay::new(self.reads.clone(), self.now_ns);
        let memory = Memory::recorded(replay, self.bias);
        Ok(Reader::over(memory, &self.program.globals, layout)?)
    }

    /// As `runtime.Version()` of the program says it.
    pub fn version(&self) -> &str {
        &self.program.version
    }

    /// How many places were read, and how many bytes are kept of them.
    pub fn size(&self) -> (usize, usize) {
        let kept = format::kept(&self.reads).map(|read| read.bytes.len());
        (self.reads.len(), kept.sum())
    }
}
