//! Records what a sample of a process reads.

use std::{sync::Arc, thread};

use super::{Recording, program::RecordedProgram};
use crate::{
    binary::Binary,
    runtime::{
        StateError, StateFigures, WalkLimits,
        walk::{PAUSE, TRIES, WalkError, reader},
    },
};

/// What was recorded.
#[derive(Debug)]
pub struct Recorded {
    /// Everything that was read, by tries that came to nothing as well.
    pub recording: Recording,
    /// What the last try gave. An error is a reason to look at the recording.
    pub sampled: Result<Arc<StateFigures>, StateError>,
}

/// Takes a sample of `pid`, which runs `binary`, and keeps what it reads. With limits it
/// walks over the goroutines as well.
pub fn record(pid: u32, binary: &Binary, walk: Option<WalkLimits>) -> Result<Recorded, WalkError> {
    let mut reader = reader(pid, binary)?;
    reader.memory.record();
    let now_ns = reader.memory.now_ns();
    let mut left = TRIES;
    let sampled = loop {
        left -= 1;
        match reader.sample() {
            Err(error) if error.is_passing() && left > 0 => thread::sleep(PAUSE),
            sampled => break sampled,
        }
    };
    if let (Ok(_), Some(limits)) = (&sampled, walk) {
        reader.goroutines_by_creator(&|_| None, limits)?;
    }
    let reads = reader.memory.take_recorded().map_err(StateError::from)?;
    Ok(Recorded {
        recording: Recording {
            program: RecordedProgram::of(binary),
            bias: reader.memory.bias(),
            now_ns,
            reads,
        },
        sampled,
    })
}
