//! The Go runtime's own state, read from a process's memory.
//!
//! The runtime keeps exact counters for itself; where they lie is fixed per
//! Go release ([`Layout`](crate::release::Layout)) and per binary
//! ([`Globals`](crate::binary::globals::Globals)). [`RuntimeReader`] joins the two
//! for one process. Nothing is ever written, and a figure whose place is not
//! proven is left out with a [`StateGap`](crate::release::StateGap).

mod allocation;
mod error;
mod figures;
mod goroutines;
mod histogram;
mod idle_check;
mod invariants;
mod machine_limits;
mod memory;
mod optional;
mod pacer;
mod raw_sample;
mod recording;
mod runtime_reader;
mod scratch;
mod status;
mod stuck;
mod threads;
mod trust;
mod vectored_read;
mod walk;

pub use error::StateError;
pub use figures::{
    Allocation, Collections, CollectorCpu, GoroutineStates, Goroutines, Heap, Pause,
    RuntimeSettings, Scheduler, StateFigures, Stops,
};
pub use goroutines::{Creator, GoroutineReport, SourceLocation, Symbolize, WalkLimits};
pub use histogram::RuntimeHistogram;
pub use machine_limits::cpus;
pub use memory::{MemoryError, ProgramLayout};
#[cfg(any(test, feature = "fuzz"))]
pub use recording::fuzz_invariants;
pub use recording::{Recorded, Recording, RecordingError, record};
pub use runtime_reader::RuntimeReader;
pub use stuck::{HeldUp, Stuck, apart, is_stuck, within};
pub use walk::{WalkError, reader as reader_of, walk};
