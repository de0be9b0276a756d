//! Questions to the API server: who a token is, and what a user may.

mod access;
mod answer_cache;
mod error;
mod token;

pub use self::{access::Access, answer_cache::AnswerCacheLimits};
pub(super) use self::{access::AccessReviewer, token::TokenReviewer};
