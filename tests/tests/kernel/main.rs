//! Real programs on the real kernel: one program of tests, since each that is
//! linked by itself takes longer to link than most of them take to run.
//!
//! Those with an observer run one after another: each looks for what an observer
//! left behind. Those in `library` run beside them; those in `alone` do not.

mod alone;
mod at_once;
mod budget;
mod capabilities;
mod cgroups;
mod clock;
mod containers;
mod debuggers;
mod disagreement;
mod discovery;
mod elf;
mod exclusion;
mod execs;
mod experiment;
mod faults;
mod features;
mod forge;
mod hang;
mod hostile;
mod hostile_memory;
mod inspections;
mod lacks;
mod library;
mod lost_events;
mod matrix;
mod namespaces;
mod newer;
mod overwrite;
mod planes;
mod probes;
mod read_only;
mod served;
mod serving;
mod shared_libraries;
mod spans;
mod state;
