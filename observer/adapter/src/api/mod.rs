//! The API as clients see it.

pub(crate) mod body;
mod discovery;
mod document;
pub(crate) mod group;
pub(crate) mod lack;
mod openapi;
pub(crate) mod path;
mod quantity;
pub(crate) mod selector;
mod server;
pub(crate) mod status;

pub(crate) use discovery::Discovery;
pub(crate) use server::{Server, VALUES_AT_ONCE, router};

#[cfg(test)]
mod tests;
