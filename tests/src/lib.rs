//! What the tests share: the observer and the programs it observes, as
//! processes, and the observer's answers, as types.
//!
//! Everything here panics where a test cannot go on.

pub mod agreement;
pub mod cluster;
pub mod containers;
pub mod fuse;
pub mod namespace;
pub mod release;
pub mod state;

pub use observer_testkit::{
    Observer, Process, Workload, api, exact, metrics, observer, paths, served_state, short, spin,
    text, wait, workload,
};
