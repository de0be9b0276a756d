//! The adapter in a real cluster of two nodes, installed by
//! `kubectl apply -k deploy/adapter`, and the cluster's own autoscaler.
//!
//! Started by `cargo xtask test --step cluster`. Tests take turns (`turn`), so
//! that they may run on several threads.

mod absence;
mod aggregation;
mod api;
mod client;
mod crowd;
mod faults;
mod load;
mod overlays;
mod reference;
mod registration;
mod scaling;
mod security;
mod walk;
mod whose;
