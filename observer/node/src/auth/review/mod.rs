//! Questions to the API server: who a token is, and what a user may.

mod access;
mod answers;
mod error;
mod token;

pub use self::{access::Access, answers::Limits};
pub(super) use self::{access::AccessReviewer, token::TokenReviewer};
