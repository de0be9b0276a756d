//! What is served with: the settings, checked and made ready.

use std::{net::SocketAddr, path::Path, sync::Arc};

use axum::Router;
use kube::Client;

use super::{
    certificate::ClientAuthority,
    counters::{Counters, SecurityFigures},
    error::SecurityError,
    guard::{Guard, protect},
    review::AnswerCacheLimits,
    settings::SecuritySettings,
    tls::{CertificateSource, ServerTls, host_names},
};

/// TLS and the guard, each where there is one.
#[derive(Default)]
pub struct Security {
    /// What connections are encrypted with.
    pub tls: Option<ServerTls>,
    /// Who may ask.
    pub guard: Option<Arc<Guard>>,
    /// What both count.
    pub counters: Arc<Counters>,
}

/// Reads the counts.
#[derive(Clone, Debug)]
pub struct SecurityReader {
    counters: Arc<Counters>,
    guarded: bool,
}

impl SecurityReader {
    /// Of these counts; `guarded` where callers are asked who they are.
    pub const fn new(counters: Arc<Counters>, guarded: bool) -> Self {
        Self { counters, guarded }
    }

    /// The counts now.
    pub fn read(&self) -> SecurityFigures {
        self.counters.read(self.guarded)
    }
}

impl Security {
    /// By the settings. With a `client` the API server tells who may ask;
    /// `names` are those of this server that the host does not know itself.
    pub fn new(
        settings: &SecuritySettings,
        client: Option<Client>,
        names: impl IntoIterator<Item = String>,
        limits: AnswerCacheLimits,
    ) -> Result<Self, SecurityError> {
        let counters = Arc::new(Counters::default());
        if settings.insecure_http {
            return Ok(Self::default());
        }
        let authority = settings.client_ca_file.as_deref().map(read).transpose()?;
        let source = match settings.certificate.pair() {
            Some(files) => CertificateSource::Files(files),
            None if client.is_some() || authority.is_some() => {
                CertificateSource::SelfSigned(host_names(names))
            }
            None => return Ok(Self::default()),
        };
        let mut tls = ServerTls::new(source, authority.is_some(), Arc::clone(&counters))?;
        let guard = match (client, authority.clone()) {
            (Some(client), authority) => Some(Guard::by_reviews(
                client,
                authority,
                limits,
                Arc::clone(&counters),
            )?),
            (None, Some(authority)) => {
                Some(Guard::by_certificate(authority, Arc::clone(&counters)))
            }
            (None, None) => None,
        };
        if let (Some(path), Some(authority)) = (&settings.client_ca_file, authority) {
            tls.watch_authority(path.clone(), authority);
        }
        Ok(Self {
            tls: Some(tls),
            guard: guard.map(Arc::new),
            counters,
        })
    }

    /// Puts the guard before `router`, where there is one.
    pub(crate) fn protect(&self, router: Router) -> Router {
        match &self.guard {
            Some(guard) => protect(router, Arc::clone(guard)),
            None => router,
        }
    }

    /// What reads the counts from now on.
    pub fn reader(&self) -> SecurityReader {
        SecurityReader {
            counters: Arc::clone(&self.counters),
            guarded: self.guard.is_some(),
        }
    }

    /// What is served on these addresses and to whom, for the log.
    pub fn describe(&self, addresses: &[SocketAddr]) -> &'static str {
        // 127.0.0.1 may be written as an address of IPv6, too.
        let is_local = |address: &SocketAddr| address.ip().to_canonical().is_loopback();
        let here = addresses.iter().all(is_local);
        match (&self.tls, &self.guard) {
            (Some(_), Some(_)) => "TLS, to callers who are known and allowed",
            (Some(_), None) if here => "TLS, to everybody on this machine",
            (Some(_), None) => "TLS, to everybody",
            (None, _) if here => "plain HTTP, to everybody on this machine",
            (None, _) => "plain HTTP, to everybody",
        }
    }
}

fn read(path: &Path) -> Result<Arc<ClientAuthority>, SecurityError> {
    ClientAuthority::from_file(path)
        .map(Arc::new)
        .map_err(|error| SecurityError::Authority {
            path: path.to_owned(),
            error,
        })
}
