//! The adapter's own certificate authority: it vouches for the adapter and,
//! where nobody else does, for the observers of the nodes.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use x509_parser::prelude::{FromDer, X509Certificate};

const DAY: Duration = Duration::from_hours(24);
/// How long the authority holds: whoever verifies by it must be told of another.
const AUTHORITY: Duration = Duration::from_hours(24 * 3650);
/// How long what it issues holds, and how long before the end the next is due:
/// far enough that some weeks without an API server do no harm.
const ISSUED: Duration = Duration::from_hours(24 * 90);
const AHEAD: Duration = Duration::from_hours(24 * 45);
const NAME: &str = "go-observer";

/// A certificate and its key, as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PemPair {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// Something of it is not usable.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The library refuses.
    #[error("{0}")]
    Library(#[from] rcgen::Error),
    /// A certificate cannot be read.
    #[error("the certificate cannot be read: {0}")]
    Certificate(String),
}

/// A certificate authority with its key.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pair: PemPair,
}

impl Authority {
    /// A new one.
    pub fn new() -> Result<Self, PkiError> {
        let mut params = CertificateParams::default();
        let named = format!("{NAME} authority");
        params.distinguished_name.push(DnType::CommonName, named);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        hold(&mut params, AUTHORITY);
        let key = KeyPair::generate()?;
        let pair = PemPair {
            certificate: params.self_signed(&key)?.pem(),
            key: key.serialize_pem(),
        };
        let issuer = Issuer::new(params, key);
        Ok(Self { issuer, pair })
    }

    /// One that was made before.
    pub fn of(pair: PemPair) -> Result<Self, PkiError> {
        let key = KeyPair::from_pem(&pair.key)?;
        let issuer = Issuer::from_ca_cert_pem(&pair.certificate, key)?;
        Ok(Self { issuer, pair })
    }

    /// Its certificate and key.
    pub const fn pair(&self) -> &PemPair {
        &self.pair
    }

    /// A new certificate for a server of these names.
    pub fn issue(&self, names: &[String]) -> Result<PemPair, PkiError> {
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, NAME);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        hold(&mut params, ISSUED);
        let key = KeyPair::generate()?;
        Ok(PemPair {
            certificate: params.signed_by(&key, &self.issuer)?.pem(),
            key: key.serialize_pem(),
        })
    }

    /// Whether another certificate is due in place of this one: since it ends
    /// soon, or another authority issued it.
    pub fn is_due(&self, certificate: &str, now: SystemTime) -> bool {
        let mine = || -> Result<bool, PkiError> {
            let (issued, authority) = (der(certificate)?, der(&self.pair.certificate)?);
            let (issued, authority) = (parse(&issued)?, parse(&authority)?);
            let by_us = issued
                .verify_signature(Some(authority.public_key()))
                .is_ok();
            let until = issued.validity().not_after.timestamp();
            let until = SystemTime::UNIX_EPOCH + Duration::from_secs(until.try_into().unwrap_or(0));
            Ok(by_us && now + AHEAD < until)
        };
        !mine().unwrap_or(false)
    }
}

fn hold(params: &mut CertificateParams, lifetime: Duration) {
    let now = SystemTime::now();
    // Clocks of clients may be behind.
    params.not_before = (now - DAY).into();
    params.not_after = (now + lifetime).into();
}

fn der(pem: &str) -> Result<CertificateDer<'static>, PkiError> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| PkiError::Certificate(error.to_string()))
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, PkiError> {
    let parsed = X509Certificate::from_der(der);
    let (_, parsed) = parsed.map_err(|error| PkiError::Certificate(error.to_string()))?;
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::Authority;

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn a_certificate_is_due_when_it_ends_soon_or_is_not_ours() {
        let (ours, other) = (Authority::new().unwrap(), Authority::new().unwrap());
        let pair = ours.issue(&["a.b.svc".to_owned()]).unwrap();
        let now = SystemTime::now();
        assert!(!ours.is_due(&pair.certificate, now));
        assert!(ours.is_due(&pair.certificate, now + 46 * DAY));
        assert!(other.is_due(&pair.certificate, now));
        assert!(ours.is_due("", now));
        let again = Authority::of(ours.pair().clone()).unwrap();
        assert!(!again.is_due(&pair.certificate, now));
        let pair = again.issue(&["a.b.svc".to_owned()]).unwrap();
        assert!(!ours.is_due(&pair.certificate, now));
    }
}
