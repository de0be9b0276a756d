//! Why a server cannot be made secure.

use std::path::PathBuf;

use super::{certificate::AuthorityError, tls::TlsError};

/// Why a server cannot be made secure.
#[derive(Debug, thiserror::Error)]
pub enum SecurityError {
    /// The serving certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The client authorities.
    #[error("{}: {error}", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: AuthorityError,
    },
    /// No key for digests of tokens.
    #[error("the system has no random numbers to give, which digests of tokens need")]
    Random,
}
