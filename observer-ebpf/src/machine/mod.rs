//! The state machines behind the programs: which process a hit counts for, what
//! a stop of the world and a collector cycle add up to, when probes cost too much.
//!
//! Nothing here reads a register, a map or memory by itself. [`Kernel`] does, so
//! that the tests on the host drive the same code through orders of events that a
//! real kernel shows once in a million hits.
//!
//! Everything on a hit's way is inlined: the verifier checks one function at a
//! time and forgets at a call what it knew about a pointer.

mod account;
mod cycles;
mod goroutines;
mod kernel;
mod lives;
mod older;
mod record;
mod site;
mod stops;
mod triggers;
mod waiting;

pub use kernel::{Fields, Kernel, Memory, Words};
pub use lives::{exec, exit};
pub use site::{Registers, hit};

use crate::GcFigures;

/// One process's collector and stops: the map's value, and what changes it.
///
/// Stops exclude each other by the runtime's `worldsema`, and the beginnings of
/// cycles by its `work.startSema`. So the methods write plainly what only the
/// holder of such a lock changes, and with [`Words`] what several threads change
/// at once.
#[derive(Clone, Copy)]
struct Collector<K> {
    kernel: K,
    gc: *mut GcFigures,
}

impl<K: Words> Collector<K> {
    /// # Safety
    ///
    /// `gc` must be a live map value for as long as the copies of this are used.
    #[inline(always)]
    unsafe fn new(kernel: K, gc: *mut GcFigures) -> Self {
        Self { kernel, gc }
    }
}

#[cfg(test)]
mod tests;
