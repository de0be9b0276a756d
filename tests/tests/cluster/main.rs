//! The observer in a real cluster of two nodes, installed by
//! `kubectl apply -k deploy/observer`. All tests share that installation.
//!
//! Started by `cargo xtask test --step cluster`.

mod churn;
mod faults;
mod figures;
