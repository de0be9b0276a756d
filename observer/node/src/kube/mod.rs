//! Which pod each process is in, from the API server.
//!
//! [`watch_pods`] keeps what is needed of this node's pods; [`attribute`] joins
//! it with the engine's snapshots by the container's id. Neither waits for the
//! other. [`PodWishes`] says which processes the engine may touch: none in a pod
//! that is not known yet.

mod attribute;
mod client;
mod index;
mod namespaces;
mod object;
mod past;
mod pod;
mod waits;
mod watch;
mod wishes;

#[cfg(test)]
mod tests;

pub use attribute::attribute;
pub use client::{ClientError, Connection, connect, is_in_cluster};
pub use index::PodIndex;
pub use waits::{Waits, rest};
pub use watch::{PodIndexes, watch_pods};
pub use wishes::PodWishes;
