//! A certificate and its key, checked against each other.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{error::TlsError, files::PairFiles, provider};

/// A certificate and its key.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) key: Arc<CertifiedKey>,
    /// When the certificate ends.
    pub(super) not_after: SystemTime,
}

impl Pair {
    /// Of PEM text that these files held.
    pub(super) fn from_pem(
        files: &PairFiles,
        certificate: &[u8],
        key: &[u8],
    ) -> Result<Self, TlsError> {
        let bad_certificate = |error: String| TlsError::Certificate {
            path: files.certificate.clone(),
            error,
        };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<_, _>>()
            .map_err(|error| bad_certificate(error.to_string()))?;
        let not_after = chain
            .first()
            .ok_or_else(|| "no CERTIFICATE in it".to_owned())
            .and_then(|leaf| not_after(leaf))
            .map_err(bad_certificate)?;
        let bad_key = |error: String| TlsError::Key {
            path: files.key.clone(),
            error,
        };
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| bad_key(error.to_string()))?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::Mismatch {
                certificate: files.certificate.clone(),
                key: files.key.clone(),
                error,
            },
            error => bad_key(error.to_string()),
        })?;
        Ok(Self {
            key: Arc::new(key),
            not_after,
        })
    }
}

/// When a certificate ends.
pub(super) fn not_after(certificate: &CertificateDer<'_>) -> Result<SystemTime, String> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
    let seconds = parsed.validity().not_after.timestamp();
    Ok(UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap_or(0)))
}
