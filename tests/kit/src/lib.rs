//! What tests need that has nothing of the observer's own code in it: the
//! observer and the programs it observes, as processes, and the observer's
//! answers, as types. Light, since it is built a second time for guests.
//!
//! Everything here panics where a test cannot go on.

pub mod agreement;
pub mod api;
pub mod exact;
pub mod metrics;
pub mod observer;
pub mod paths;
pub mod program;
pub mod served_state;
pub mod short;
pub mod spin;
pub mod text;
pub mod wait;
pub mod workload;

pub use self::{api::Process, observer::Observer, workload::Workload};
