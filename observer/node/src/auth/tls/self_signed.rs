//! A certificate signed by its own key, where no files are given: what is
//! read on the way stays unread, though a client cannot verify whom it asks.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
};
use rustls::{
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::CertifiedKey,
};

use super::{error::TlsError, pair::Pair, provider};

const DAY: Duration = Duration::from_hours(24);
/// How long a certificate holds.
const LIFETIME: Duration = Duration::from_hours(90 * 24);
/// How long before its end the next is made.
const AHEAD: Duration = Duration::from_hours(30 * 24);

/// Whether the next certificate is to be made.
pub(super) fn is_due(not_after: SystemTime, now: SystemTime) -> bool {
    now + AHEAD >= not_after
}

/// A new key and its certificate for these names and addresses.
pub(super) fn make(names: &[String]) -> Result<Pair, TlsError> {
    let now = SystemTime::now();
    let not_after = now + LIFETIME;
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "go-observer");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Clocks of clients may be behind.
    params.not_before = (now - DAY).into();
    params.not_after = not_after.into();
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = CertifiedKey::from_der(vec![certificate.der().clone()], key, &provider())
        .map_err(TlsError::Configuration)?;
    Ok(Pair {
        key: Arc::new(key),
        not_after,
    })
}

/// Names and addresses this host may be asked by: `given` (node name, service
/// name), its host name, its addresses and localhost.
pub fn host_names(given: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut names: BTreeSet<_> = given.into_iter().filter(|name| !name.is_empty()).collect();
    names.insert("localhost".to_owned());
    let host = rustix::system::uname();
    names.insert(host.nodename().to_string_lossy().into_owned());
    match if_addrs::get_if_addrs() {
        // Link-local addresses need a zone that a certificate cannot name.
        Ok(interfaces) => names.extend(
            interfaces
                .iter()
                .filter(|interface| !interface.is_link_local())
                .map(|interface| interface.ip().to_string()),
        ),
        Err(error) => {
            tracing::warn!(%error, "the host's addresses cannot be listed; the certificate names none");
        }
    }
    names.retain(|name| name.is_ascii() && !name.contains(char::is_whitespace));
    names.into_iter().collect()
}
