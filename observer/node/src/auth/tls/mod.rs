//! The serving side of TLS: a certificate from files or of our own making,
//! renewed while connections go on.

mod client_key_proof;
mod error;
mod files;
mod pair;
pub(super) mod provider;
mod self_signed;

use std::{
    sync::{Arc, PoisonError, RwLock, atomic::Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::{
    ServerConfig,
    pki_types::CertificateDer,
    server::{ClientHello, NoClientAuth, ResolvesServerCert, danger::ClientCertVerifier},
    sign::CertifiedKey,
};
use tokio_rustls::TlsAcceptor;

pub use self::{error::TlsError, files::PairFiles, provider::provider, self_signed::host_names};
use self::{files::Watched, pair::Pair};
use super::{
    certificate::ClientAuthority,
    counters::{Counters, add},
};

/// How often files are looked at, and whether our own certificate grows old.
const POLL: Duration = Duration::from_secs(5);

const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// Where the serving certificate comes from.
#[derive(Clone, Debug)]
pub enum CertificateSource {
    /// From files, read again when they change.
    Files(PairFiles),
    /// Signed by its own key, for these names and addresses.
    SelfSigned(Vec<String>),
}

/// What TLS is served with.
#[derive(Debug)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    current: Arc<Current>,
    source: CertificateSource,
    pair_watch: Option<Watched<2>>,
    authority: Option<FileAuthority>,
    counters: Arc<Counters>,
    poll: Duration,
}

/// Client authorities that a file names.
#[derive(Debug)]
struct FileAuthority {
    authority: Arc<ClientAuthority>,
    watch: Watched<1>,
}

/// The certificate shown to the next client.
#[derive(Debug)]
struct Current(RwLock<Pair>);

impl ServerTls {
    /// Checks and takes the certificate. With `ask_clients`, clients are asked
    /// for a certificate, which they may have or not; who issued it is for
    /// [`ClientAuthority`] to say.
    pub fn new(
        source: CertificateSource,
        ask_clients: bool,
        counters: Arc<Counters>,
    ) -> Result<Self, TlsError> {
        let (pair, pair_watch) = match &source {
            CertificateSource::Files(files) => {
                let mut watch = Watched::new([files.certificate.clone(), files.key.clone()]);
                let [certificate, key] = watch.read()?;
                let pair = Pair::from_pem(files, &certificate, &key)?;
                if pair.not_after <= SystemTime::now() {
                    tracing::warn!(certificate = %files.certificate.display(), "the serving certificate has expired; clients that verify it will not connect");
                }
                (pair, Some(watch))
            }
            CertificateSource::SelfSigned(names) => (self_signed::make(names)?, None),
        };
        counters
            .certificate_expiry_seconds
            .store(seconds(pair.not_after), Ordering::Relaxed);
        let current = Arc::new(Current(RwLock::new(pair)));
        let config = config(Arc::clone(&current) as _, ask_clients)?;
        Ok(Self {
            config: Arc::new(config),
            current,
            source,
            pair_watch,
            authority: None,
            counters,
            poll: POLL,
        })
    }

    /// Reads `authority` again whenever this file changes.
    pub(crate) fn watch_authority(
        &mut self,
        path: std::path::PathBuf,
        authority: Arc<ClientAuthority>,
    ) {
        let mut watch = Watched::new([path]);
        // It was read a moment ago; should that fail now, the first check says so.
        drop(watch.read());
        self.authority = Some(FileAuthority { authority, watch });
    }

    /// Speaks HTTP/2 too, with who does.
    #[must_use]
    pub fn with_http2(mut self) -> Self {
        let config = Arc::make_mut(&mut self.config);
        config.alpn_protocols = [HTTP2, HTTP1].map(<[u8]>::to_vec).to_vec();
        self
    }

    /// Looks for changes this often instead of every five seconds.
    #[cfg(test)]
    pub(crate) fn set_poll(&mut self, poll: Duration) {
        self.poll = poll;
    }

    /// The certificate that is shown now.
    pub fn certificate(&self) -> Option<CertificateDer<'static>> {
        let pair = self
            .current
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        pair.key.cert.first().cloned()
    }

    /// What gives another certificate at any time.
    pub fn replacer(&self) -> Replacer {
        Replacer {
            current: Arc::clone(&self.current),
            counters: Arc::clone(&self.counters),
        }
    }

    /// Makes TLS of accepted connections, always by the newest certificate.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }

    /// Where handshakes that fail are counted.
    pub(crate) const fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Renews what has changed or grows old, until it is dropped.
    pub async fn renew(mut self) {
        loop {
            tokio::time::sleep(self.poll).await;
            // Files may lie on something that hangs.
            let checked = tokio::task::spawn_blocking(move || {
                self.check(SystemTime::now());
                self
            });
            match checked.await {
                Ok(checked) => self = checked,
                Err(error) => {
                    tracing::error!(%error, "certificates are no longer renewed");
                    return;
                }
            }
        }
    }

    fn check(&mut self, now: SystemTime) {
        match self.renewed(now) {
            Ok(None) => {}
            Ok(Some(pair)) => take(&self.current, &self.counters, pair),
            Err(error) => {
                add(&self.counters.certificate_reloads_failed);
                tracing::error!(%error, "the new serving certificate is not taken; the one before stays");
            }
        }
        let Some(FileAuthority { authority, watch }) = &mut self.authority else {
            return;
        };
        let replaced = match watch.changed() {
            Ok(None) => return,
            Ok(Some([pem])) => authority.replace(&pem).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match replaced {
            Ok(()) => tracing::info!("client authorities read again"),
            Err(error) => {
                add(&self.counters.authority_reloads_failed);
                tracing::error!(
                    error,
                    "the new client authorities are not taken; those before stay"
                );
            }
        }
    }

    /// A newer pair, where there is one.
    fn renewed(&mut self, now: SystemTime) -> Result<Option<Pair>, TlsError> {
        match (&self.source, &mut self.pair_watch) {
            (CertificateSource::Files(files), Some(watch)) => {
                let Some([certificate, key]) = watch.changed()? else {
                    return Ok(None);
                };
                let pair = Pair::from_pem(files, &certificate, &key)?;
                let current = self.current.not_after();
                if pair.not_after <= now && pair.not_after < current {
                    return Err(TlsError::Expired(files.certificate.clone()));
                }
                Ok(Some(pair))
            }
            (CertificateSource::SelfSigned(names), _)
                if self_signed::is_due(self.current.not_after(), now) =>
            {
                self_signed::make(names).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// Gives a server another certificate while it serves.
#[derive(Clone, Debug)]
pub struct Replacer {
    current: Arc<Current>,
    counters: Arc<Counters>,
}

impl Replacer {
    /// Shows this PEM pair to the next client; a bad one changes nothing.
    pub fn replace(&self, certificate: &str, key: &str) -> Result<(), TlsError> {
        let given = PairFiles {
            certificate: "the certificate given".into(),
            key: "the key given".into(),
        };
        let pair = Pair::from_pem(&given, certificate.as_bytes(), key.as_bytes())?;
        take(&self.current, &self.counters, pair);
        Ok(())
    }
}

/// Shows `pair` to the next client.
fn take(current: &Current, counters: &Counters, pair: Pair) {
    counters
        .certificate_expiry_seconds
        .store(seconds(pair.not_after), Ordering::Relaxed);
    tracing::info!(expires = %humantime::format_rfc3339_seconds(pair.not_after), "new serving certificate");
    *current.0.write().unwrap_or_else(PoisonError::into_inner) = pair;
}

impl Current {
    fn not_after(&self) -> SystemTime {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .not_after
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let pair = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&pair.key))
    }
}

fn config(
    resolver: Arc<dyn ResolvesServerCert>,
    ask_clients: bool,
) -> Result<ServerConfig, TlsError> {
    let clients: Arc<dyn ClientCertVerifier> = if ask_clients {
        Arc::new(client_key_proof::Possession::new(provider()))
    } else {
        Arc::new(NoClientAuth)
    };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Configuration)?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![HTTP1.to_vec()];
    Ok(config)
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
