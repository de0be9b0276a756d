//! The adapter in a real cluster of two nodes, installed by
//! `kubectl apply -k deploy/adapter`, and the cluster's own autoscaler.
//!
//! Started by `cargo xtask test --step cluster`.

mod absence;
mod api;
mod client;
mod faults;
mod reference;
mod scaling;
mod security;
