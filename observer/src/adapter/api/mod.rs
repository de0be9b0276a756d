//! The API as clients see it.

pub mod body;
mod discovery;
pub mod path;
mod quantity;
pub mod selector;
mod server;
pub mod status;

pub use quantity::quantity;
pub use server::{Server, router};

#[cfg(test)]
mod tests;
