//! The Go runtime's own state, read from a process's memory.
//!
//! The runtime keeps exact counters for itself; where they lie is fixed per
//! Go release ([`Layout`](crate::release::Layout)) and per binary
//! ([`Globals`](crate::binary::globals::Globals)). [`Reader`] joins the two
//! for one process. Nothing is ever written, and a figure whose place is not
//! proven is left out with a [`StateGap`](crate::release::StateGap).

mod allocation;
mod batch;
mod confirm;
mod error;
mod figures;
mod gate;
mod goroutines;
mod histogram;
mod machine;
mod memory;
mod optional;
mod pacer;
mod reader;
mod recording;
mod scratch;
mod snapshot;
mod status;
mod stuck;
mod threads;
mod trust;
mod walk;

pub use error::StateError;
pub use figures::{
    Allocation, Collections, CollectorCpu, GoroutineStates, Goroutines, Heap, Pause, Scheduler,
    Settings, StateFigures, Stops,
};
pub use goroutines::{Creator, GoroutineReport, Symbol, Symbolize, WalkLimits};
pub use histogram::TimeHistogram;
pub use machine::cpus;
pub use memory::{Image, MemoryError};
pub use reader::Reader;
#[cfg(any(test, feature = "fuzz"))]
pub use recording::strangers;
pub use recording::{Recorded, Recording, RecordingError, record};
pub use stuck::{HeldUp, Stuck, apart, is_stuck, within};
pub use walk::{WalkError, reader as reader_of, walk};
