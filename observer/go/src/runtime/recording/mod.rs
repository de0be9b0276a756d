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

mod error;
mod format;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz_invariants;
mod parse;
mod program;
pub(super) mod read;
mod record;
pub(super) mod recorder;
pub(super) mod replay;
#[cfg(test)]
mod tests;

pub use self::{
    error::RecordingError,
    record::{Recorded, record},
};
use self::{program::RecordedProgram, read::Read, replay::Replay};
use super::{RuntimeReader, memory::Memory};

/// What was read of one process, and of which program.
#[derive(Clone, Debug)]
pub struct Recording {
    program: RecordedProgram,
    /// How far the program lay from where it was linked to.
    bias: u64,
    /// When it was made, by the clock of Go's `nanotime`.
    now_ns: u64,
    reads: Vec<Read>,
}

impl Recording {
    /// A reader of what was recorded.
    pub fn reader(&self) -> Result<RuntimeReader, RecordingError> {
        let layout = self.program.layout()?;
        let replay = Replay::new(self.reads.clone(), self.now_ns);
        let memory = Memory::recorded(replay, self.bias);
        Ok(RuntimeReader::over(memory, &self.program.globals, layout)?)
    }

    /// As `runtime.Version()` of the program says it.
    pub fn version(&self) -> &str {
        &self.program.version
    }

    /// How many places were read, and how many bytes are kept of them.
    pub fn size(&self) -> (usize, usize) {
        let kept = read::kept(&self.reads).map(|read| read.bytes.len());
        (self.reads.len(), kept.sum())
    }
}
