//! The state machines against models of a kernel and of Go's runtime, through
//! random orders of events.
//!
//! Threads take turns by a seed ([`turns`]), and each step of a machine may be
//! another thread's turn. So a failure names the seed that shows it again.

mod away;
mod budget;
mod check;
mod ends;
mod go;
mod lives;
mod lost;
mod model;
mod on_stack;
mod random;
mod spans;
mod stops;
mod triggers;
mod truth;
mod turns;
