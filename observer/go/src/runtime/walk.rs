//! One walk over a process's goroutines, for somebody who asks.

use std::{fs::File, thread, time::Duration};

use super::{GoroutineReport, RuntimeReader, SourceLocation, StateError, Symbolize, WalkLimits};
use crate::binary::{Binary, Functions, InspectError};

/// Tries before a state that never stands still is reported.
pub(super) const TRIES: u32 = 5;
/// Between two of them.
pub(super) const PAUSE: Duration = Duration::from_millis(20);
/// Bytes of a function's name that are kept.
const MOST_NAME_BYTES: usize = 1 << 10;

/// Why the goroutines could not be walked over.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// The binary's state cannot be read at all.
    #[error("the state of this program cannot be read: {0}")]
    NoState(String),
    /// Its memory could not be read, or not be believed.
    #[error(transparent)]
    State(#[from] StateError),
    /// Its function table could not be read.
    #[error("cannot read the function table: {0}")]
    Functions(#[from] InspectError),
}

/// Walks over the goroutines of `pid`, which runs `binary`; `file` is its
/// executable, which names the functions.
pub fn walk(
    pid: u32,
    file: &File,
    binary: &Binary,
    limits: WalkLimits,
) -> Result<GoroutineReport, WalkError> {
    let mut reader = reader(pid, binary)?;
    let names = Names(Functions::open(file)?);
    let mut left = TRIES;
    loop {
        // The sample confirms that everything is where it is believed to be.
        let result = reader
            .sample()
            .and_then(|_| reader.goroutines_by_creator(&names, limits));
        left -= 1;
        match result {
            Err(error) if error.is_passing() && left > 0 => thread::sleep(PAUSE),
            result => return Ok(result?),
        }
    }
}

/// A reader for a process that runs `binary`.
pub fn reader(pid: u32, binary: &Binary) -> Result<RuntimeReader, WalkError> {
    let no_state = |detail: &str| WalkError::NoState(detail.to_owned());
    let state = &binary.state;
    let (Some(globals), Some(layout)) = (&state.globals, binary.layout()) else {
        let gap = state.gaps.first();
        return Err(no_state(gap.map_or("", |gap| gap.detail.as_str())));
    };
    let image = super::ProgramLayout { entry: state.entry };
    Ok(RuntimeReader::new(pid, image, globals, layout)?)
}

struct Names<'s>(Option<Functions<'s>>);

impl Symbolize for Names<'_> {
    fn symbolize(&self, pc: u64) -> Option<SourceLocation> {
        let place = self.0.as_ref()?.resolve(pc).ok()??;
        let mut function = place.function.name;
        function.truncate(function.floor_char_boundary(MOST_NAME_BYTES));
        Some(SourceLocation {
            function,
            line: place.line,
        })
    }
}
