//! Why a file is no recording.

use std::io;

use crate::{release::LayoutError, runtime::StateError};

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
