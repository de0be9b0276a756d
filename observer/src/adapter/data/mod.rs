//! Where values come from: the objects that the API server tells of, and the
//! observers of the nodes that their pods run on.

mod decoded;
pub mod fan_out;
pub mod node_client;
pub mod objects;
pub mod table;
pub mod values;
pub mod watches;

#[cfg(test)]
mod tests;
