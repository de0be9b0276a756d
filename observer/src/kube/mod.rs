//! The pods of this node, from the API server.

mod client;

pub use client::{ClientError, connect, is_in_cluster};
