//! Which pod each process is in, from the API server.
//!
//! [`watch_pods`] keeps what is needed of this node's pods; [`attribute`] joins
//! it with the engine's snapshots by the container's id. Neither waits for the
//! other. [`PodOptOut`] says which processes the engine may touch: none in a pod
//! that is not known yet.

mod attribute;
mod backoff;
mod client;
mod ended_processes;
mod namespaces;
mod pod;
mod pod_index;
mod pod_object;
mod pod_opt_out;
mod watch;

#[cfg(test)]
mod tests;

pub use attribute::attribute;
pub use backoff::{WatchBackoff, rest};
pub use client::{ClientError, Connection, connect, is_in_cluster};
pub use pod_index::PodIndex;
pub use pod_opt_out::PodOptOut;
pub use watch::{PodIndexes, watch_pods};
