//! The observer in a real cluster of two nodes, installed by
//! `kubectl apply -k deploy/observer`. All tests share that installation.
//!
//! Started by `cargo xtask test --step cluster`.
#![expect(
    clippy::float_cmp,
    reason = "counts are compared, which a double holds exactly"
)]

mod bursts;
mod churn;
mod container_node;
mod exclusion;
mod faults;
mod figures;
mod latency;
mod manifests;
mod rights;
mod security;
mod shapes;
mod whose;
