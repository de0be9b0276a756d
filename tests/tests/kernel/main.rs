//! Real programs on the real kernel: one program of tests, since each that is
//! linked by itself takes longer to link than most of them take to run.
//!
//! They run one after another: each looks for what an observer left behind.

mod budget;
mod capabilities;
mod cli;
mod clock;
mod containers;
mod dashboards;
mod discovery;
mod faults;
mod gobinary;
mod hostile;
mod live;
mod manifests;
mod matrix;
mod newer;
mod planes;
mod reader;
mod reader_cases;
mod rules;
mod state;
