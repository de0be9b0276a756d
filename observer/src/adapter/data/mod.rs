//! Where values come from: the objects that the API server tells of, and the
//! observers of the nodes that their pods run on.

pub(super) mod decoded;
pub mod fan_out;
pub mod node_client;
pub mod objects;
pub mod observers;
mod owners;
pub mod table;
pub mod values;
pub mod watches;

#[cfg(test)]
mod tests;
