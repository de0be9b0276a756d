//! Tests that look at nothing but their own programs, through an observer of their own,
//! and mostly wait: other observers may set probes on the same files meanwhile.
//!
//! None of them looks at a program's text, at what something costs, at all that runs or
//! at the whole log, and none stops or overwhelms anybody else.

mod briefly;
mod ceiling;
mod clock;
mod containers;
mod disagreement;
mod discovery;
mod experiment;
mod hang;
mod matrix;
mod namespaces;
mod newer;
pub(crate) mod probes;
mod shared_libraries;
mod state;
