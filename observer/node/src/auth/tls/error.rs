//! What can be wrong with a serving certificate.

use std::{io, path::PathBuf};

/// Why TLS cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("cannot read {}: {error}; expected a PEM file that the observer may read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// A file has no certificate.
    #[error("{} has no usable certificate: {error}; expected PEM with the serving certificate first", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: String,
    },
    /// A file has no private key.
    #[error("{} has no usable private key: {error}; expected PEM with a PKCS#8, PKCS#1 or SEC1 key without a passphrase", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: String,
    },
    /// The two files are not of one pair.
    #[error("the key {} does not belong to the certificate {}: {error}; give a pair that was issued together", key.display(), certificate.display())]
    Mismatch {
        /// File of the certificate.
        certificate: PathBuf,
        /// File of the key.
        key: PathBuf,
        /// What the library says.
        error: rustls::Error,
    },
    /// A new certificate that ended before the present one.
    #[error("the new certificate in {} has expired", .0.display())]
    Expired(PathBuf),
    /// A self-signed certificate could not be made.
    #[error(
        "cannot make a self-signed certificate: {0}; give one with --tls-cert-file and --tls-key-file"
    )]
    SelfSigned(#[from] rcgen::Error),
    /// The library refuses the settings.
    #[error("TLS cannot be set up: {0}")]
    Configuration(rustls::Error),
}
