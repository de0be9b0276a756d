//! Who may read what this node or an API server behind it serves.
//!
//! [`tls`] holds the serving certificate and renews it without a restart;
//! [`ClientAuthority`] tells a user by client certificate; [`review`] asks the
//! API server who a token is (TokenReview) and what the user may
//! (SubjectAccessReview); [`Guard`] joins them in front of a router.

mod certificate;
mod counters;
mod error;
mod guard;
mod peer;
mod refusal;
pub mod review;
mod security;
mod settings;
pub mod tls;
mod user;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use self::guard::Right;
pub use certificate::{AuthorityError, ClientAuthority};
pub use counters::{Counters, DecisionCounts, Failures, Guarded, SecurityFigures};
pub use error::SecurityError;
pub use guard::Guard;
pub use peer::Peer;
pub use refusal::Refusal;
pub use security::{Security, SecurityReader};
pub use settings::{CertificateFiles, SecuritySettings};
pub use user::User;
