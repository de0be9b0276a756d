//! What clients ask and what they are answered, in the words of the API.

pub(crate) mod body;
pub(crate) mod group;
pub(crate) mod no_value;
pub(crate) mod path;
mod quantity;
pub(crate) mod selector;
pub(crate) mod status;

#[cfg(test)]
mod strangers;
