//! What the tests share: the observer and the programs it observes, as
//! processes, and the observer's answers, as types.
//!
//! Everything here panics where a test cannot go on.

pub mod agreement;
pub mod api;
pub mod cluster;
pub mod containers;
pub mod metrics;
pub mod observer;
pub mod paths;
pub mod release;
pub mod short;
pub mod spin;
pub mod state;
pub mod wait;
pub mod workload;

pub use self::{api::Process, observer::Observer, workload::Workload};
