//! The cryptography.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// The cryptography used throughout.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
