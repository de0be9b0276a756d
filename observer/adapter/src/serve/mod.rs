//! The API as clients see it.

mod discovery;
mod document;
mod openapi;
mod server;

pub(crate) use discovery::Discovery;
pub(crate) use server::{Server, VALUES_AT_ONCE, router};

#[cfg(test)]
mod tests;
