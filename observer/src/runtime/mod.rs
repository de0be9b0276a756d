//! The Go runtime's own state, read from a process's memory.
//!
//! The runtime keeps exact counters for itself; where they lie is fixed per
//! Go release ([`Layout`]) and per binary
//! ([`Globals`](crate::gobinary::globals::Globals)). [`Reader`] joins the two
//! for one process. Nothing is ever written, and a figure whose place is not
//! proven is left out with a [`StateGap`].

mod allocation;
mod batch;
mod confirm;
mod described;
mod error;
mod figures;
mod gaps;
mod gate;
mod goroutines;
mod histogram;
mod layout;
mod machine;
mod memory;
mod optional;
mod pacer;
mod reader;
mod scratch;
mod sizes;
mod snapshot;
mod stuck;
mod table;
mod threads;
mod walk;

pub use described::Described;
pub use error::StateError;
pub use figures::{
    Allocation, Collections, CollectorCpu, Figure, GapReason, GoroutineStates, Goroutines, Heap,
    Pause, Scheduler, Settings, StateFigures, StateGap, Stops,
};
pub use gaps::expected as expected_gaps;
pub use goroutines::{Creator, GoroutineReport, Symbol, Symbolize, WalkLimits};
pub use histogram::TimeHistogram;
pub use layout::{Field, Layout, LayoutError};
pub use machine::cpus;
pub use memory::{Image, MemoryError};
pub use reader::Reader;
pub use stuck::{HeldUp, Stuck, apart, is_stuck, within};
pub use walk::{WalkError, reader as reader_of, walk};
