//! Where values come from: the objects that the API server tells of, and the
//! observers of the nodes that their pods run on.

pub(super) mod decoded;
pub(crate) mod fan_out;
mod find;
pub(crate) mod node_client;
pub(crate) mod object_table;
pub(crate) mod objects;
pub(crate) mod observers;
mod owners;
pub(crate) mod values;
pub(crate) mod watches;

#[cfg(test)]
mod tests;
