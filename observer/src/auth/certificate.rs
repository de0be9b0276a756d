//! Users by client certificate, as Kubernetes reads one: the common name is
//! the user, the organizations are its groups.

use std::{
    fs,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, UnixTime, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{tls, user::User};

/// Certificate authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The file could not be read.
    #[error(
        "cannot read the client authorities: {0}; expected a PEM file that the observer may read"
    )]
    Read(std::io::Error),
    /// The text is not what was expected.
    #[error(
        "the client authorities are not usable: {0}; expected PEM with at least one CERTIFICATE of an authority"
    )]
    Unusable(String),
}

/// The authorities whose certificates tell who a client is. They may be
/// replaced at any time: every request is verified by those of its moment, so
/// a certificate that has expired, or whose authority went, ends on open
/// connections too.
#[derive(Debug)]
pub struct ClientAuthority {
    verifier: RwLock<Arc<dyn ClientCertVerifier>>,
}

impl ClientAuthority {
    /// Of PEM text with one or more certificates.
    pub fn from_pem(pem: &[u8]) -> Result<Self, AuthorityError> {
        Ok(Self {
            verifier: RwLock::new(verifier(pem)?),
        })
    }

    /// Of a PEM file.
    pub fn from_file(path: &Path) -> Result<Self, AuthorityError> {
        Self::from_pem(&fs::read(path).map_err(AuthorityError::Read)?)
    }

    /// Takes other authorities; bad ones change nothing.
    pub fn replace(&self, pem: &[u8]) -> Result<(), AuthorityError> {
        let new = verifier(pem)?;
        *self
            .verifier
            .write()
            .unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// The user these certificates belong to, or why none.
    pub fn user(&self, certificates: &[CertificateDer<'_>]) -> Result<User, String> {
        let (name, groups) = self.subject(certificates)?;
        let user = User {
            name,
            groups,
            ..User::default()
        };
        user.authenticated()
            .ok_or_else(|| "the client certificate has no common name that is a user".to_owned())
    }

    /// Common name and organizations of a certificate that these authorities
    /// issued for a client. An authority whose clients are told by something
    /// else than [`User`] (a front proxy's) asks for this alone.
    pub fn subject(
        &self,
        certificates: &[CertificateDer<'_>],
    ) -> Result<(String, Vec<String>), String> {
        let (leaf, intermediates) = certificates
            .split_first()
            .ok_or("no client certificate was shown")?;
        let verifier = Arc::clone(&self.verifier.read().unwrap_or_else(PoisonError::into_inner));
        verifier
            .verify_client_cert(leaf, intermediates, UnixTime::now())
            .map_err(|error| format!("the client certificate is not accepted: {error}"))?;
        let (_, parsed) = X509Certificate::from_der(leaf)
            .map_err(|error| format!("the client certificate cannot be read: {error}"))?;
        let subject = parsed.subject();
        let text = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| {
            attribute.as_str().ok().map(str::to_owned)
        };
        let name = subject.iter_common_name().next().and_then(text);
        let groups = subject.iter_organization().filter_map(text).collect();
        Ok((name.unwrap_or_default(), groups))
    }
}

fn verifier(pem: &[u8]) -> Result<Arc<dyn ClientCertVerifier>, AuthorityError> {
    let unusable = |error: &dyn std::fmt::Display| AuthorityError::Unusable(error.to_string());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), tls::provider())
        .build()
        .map_err(|error| unusable(&error))
}
