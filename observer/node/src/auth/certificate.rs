//! Users by client certificate, as Kubernetes reads one: the common name is
//! the user, the organizations are its groups.

use std::{
    fs,
    ops::RangeInclusive,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, UnixTime, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{tls::provider::provider, user::User};

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
    roots: RwLock<Arc<[Root]>>,
}

/// One authority.
#[derive(Debug)]
struct Root {
    verifier: Arc<dyn ClientCertVerifier>,
    /// While it holds, in seconds since the epoch: the library takes every
    /// trust anchor to hold for ever.
    validity: RangeInclusive<i64>,
}

impl ClientAuthority {
    /// Of PEM text with one or more certificates.
    pub fn from_pem(pem: &[u8]) -> Result<Self, AuthorityError> {
        Ok(Self {
            roots: RwLock::new(roots(pem)?),
        })
    }

    /// Of a PEM file.
    pub(crate) fn from_file(path: &Path) -> Result<Self, AuthorityError> {
        Self::from_pem(&fs::read(path).map_err(AuthorityError::Read)?)
    }

    /// Takes other authorities; bad ones change nothing.
    pub fn replace(&self, pem: &[u8]) -> Result<(), AuthorityError> {
        let new = roots(pem)?;
        *self.roots.write().unwrap_or_else(PoisonError::into_inner) = new;
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
        let roots = Arc::clone(&self.roots.read().unwrap_or_else(PoisonError::into_inner));
        verify(&roots, leaf, intermediates, UnixTime::now())
            .map_err(|reason| format!("the client certificate is not accepted: {reason}"))?;
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

/// Whether one of the authorities that hold now has issued it, else why not.
fn verify(
    roots: &[Root],
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<(), String> {
    let mut reason = "no authority holds now".to_owned();
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    for root in roots.iter().filter(|root| root.validity.contains(&seconds)) {
        match root.verifier.verify_client_cert(leaf, intermediates, now) {
            Ok(_) => return Ok(()),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(reason)
}

fn roots(pem: &[u8]) -> Result<Arc<[Root]>, AuthorityError> {
    let unusable = |error: &dyn std::fmt::Display| AuthorityError::Unusable(error.to_string());
    let mut roots = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        let (_, parsed) =
            X509Certificate::from_der(&certificate).map_err(|error| unusable(&error))?;
        let validity = parsed.validity();
        let validity = validity.not_before.timestamp()..=validity.not_after.timestamp();
        let mut store = RootCertStore::empty();
        store
            .add(certificate.clone())
            .map_err(|error| unusable(&error))?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider())
            .build()
            .map_err(|error| unusable(&error))?;
        roots.push(Root { verifier, validity });
    }
    if roots.is_empty() {
        return Err(unusable(&"there is no certificate"));
    }
    Ok(roots.into())
}
