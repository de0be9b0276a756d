//! Real programs on the real kernel: one program of tests, since each that is
//! linked by itself takes longer to link than most of them take to run.
//!
//! - Those in `beside` run first, several at a time: each looks only at its own programs.
//! - Most others run one after another: each looks for what an observer left behind, or
//!   at what one costs.
//! - Those in `library` need no observer and run beside these.
//! - Those in `alone` look at the whole node, and nothing runs beside them.

mod alone;
mod at_once;
mod beside;
mod budget;
mod builds;
mod capabilities;
mod cgroups;
mod children;
mod debuggers;
mod elf;
mod exclusion;
mod execs;
mod faults;
mod features;
mod forge;
mod hostile;
mod hostile_memory;
mod inspections;
mod lacks;
mod library;
mod lost_events;
mod overwrite;
mod planes;
mod read_only;
mod served;
mod serving;
mod spans;
