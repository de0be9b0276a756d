//! The API as clients see it.

pub mod body;
mod discovery;
mod document;
pub mod group;
pub mod lack;
mod openapi;
pub mod path;
mod quantity;
pub mod selector;
mod server;
pub mod status;

pub use discovery::Discovery;
pub use quantity::quantity;
pub use server::{Server, VALUES_AT_ONCE, router};

#[cfg(test)]
mod tests;
