//! `observer adapter`: the observers' figures as `custom.metrics.k8s.io`.
//!
//! [`api`] reads requests and writes answers, [`front`] tells who asks and
//! whether it may, [`data`] finds the pods that are meant and asks the observers
//! of their nodes, [`metrics`] is the table of what is served. [`keeper`] keeps
//! certificates in order, and [`registration`] what leads the aggregator here.

pub mod api;
pub mod data;
#[cfg(test)]
mod fixtures;
pub mod front;
pub mod keeper;
pub mod listen;
pub mod metrics;
pub mod pki;
pub mod registration;
mod run;
pub mod settings;
pub mod telemetry;
mod upkeep;

pub use run::{ServeError, run};
