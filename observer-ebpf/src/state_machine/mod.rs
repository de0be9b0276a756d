//! The state machines behind the programs: which process a hit counts for, what a
//! span adds up to, when probes cost too much. What is of one family alone is in the
//! folder of that [`family`](crate::family).
//!
//! Nothing here reads a register, a map or memory by itself. [`Kernel`] does, so
//! that the tests on the host drive the same code through orders of events that a
//! real kernel shows once in a million hits.
//!
//! Everything on a hit's way is inlined: the verifier checks one function at a
//! time and forgets at a call what it knew about a pointer.

mod account;
mod kernel;
mod lives;
mod site;
mod span;

pub use kernel::{Fields, Kernel};
pub use lives::{exec, exit};
pub use site::hit;

#[cfg(test)]
mod tests;
