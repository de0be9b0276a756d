//! Who asks, as the aggregation layer has it: a front proxy that names the
//! user, a client certificate, a token, or nobody.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use axum::http::{HeaderMap, header::AUTHORIZATION};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    runtime::watcher::{self, Config, Event},
};
use observer_node::{
    auth::{AuthorityError, ClientAuthority, Guard, Peer, Refusal, User, review::Access},
    kube::Connection,
};
use percent_encoding::percent_decode_str;

use super::data::watches::follow_events;

const NAMESPACE: &str = "kube-system";
const CONFIG_MAP: &str = "extension-apiserver-authentication";
/// Who may everything, also while nobody can be asked.
const MASTERS: &str = "system:masters";

/// What the `ConfigMap` tells.
#[derive(Debug, Default)]
struct Trust {
    proxy: Option<Proxy>,
    clients: Option<ClientAuthority>,
}

/// The front proxy.
#[derive(Debug)]
struct Proxy {
    authority: ClientAuthority,
    /// Common names it may have; any where there are none.
    names: Vec<String>,
    users: Vec<String>,
    uids: Vec<String>,
    groups: Vec<String>,
    extra_prefixes: Vec<String>,
}

/// The `ConfigMap` is not what was expected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    /// A list is none.
    #[error("{0} is no JSON array of strings: {1}")]
    List(&'static str, serde_json::Error),
    /// Certificates are none.
    #[error("{0}: {1}")]
    Authority(&'static str, AuthorityError),
}

impl Trust {
    fn of(data: &BTreeMap<String, String>) -> Result<Self, TrustError> {
        let authority = |key: &'static str| {
            let pem = data.get(key).filter(|pem| !pem.trim().is_empty());
            pem.map(|pem| ClientAuthority::from_pem(pem.as_bytes()))
                .transpose()
                .map_err(|error| TrustError::Authority(key, error))
        };
        let list = |key: &'static str| match data.get(key) {
            None => Ok(Vec::new()),
            Some(text) => serde_json::from_str::<Vec<String>>(text)
                .map_err(|error| TrustError::List(key, error)),
        };
        let lower = |key| {
            let names = list(key)?.into_iter().map(|name| name.to_ascii_lowercase());
            Ok::<Vec<_>, TrustError>(names.collect())
        };
        let proxy = match authority("requestheader-client-ca-file")? {
            None => None,
            Some(authority) => Some(Proxy {
                authority,
                names: list("requestheader-allowed-names")?,
                users: lower("requestheader-username-headers")?,
                uids: lower("requestheader-uid-headers")?,
                groups: lower("requestheader-group-headers")?,
                extra_prefixes: lower("requestheader-extra-headers-prefix")?,
            }),
        };
        Ok(Self {
            proxy,
            clients: authority("client-ca-file")?,
        })
    }
}

impl Proxy {
    /// Whether it is the proxy.
    fn speaks(&self, peer: &Peer) -> bool {
        let subject = self.authority.subject(&peer.certificates);
        subject.is_ok_and(|(name, _)| self.names.is_empty() || self.names.contains(&name))
    }

    /// The user that the proxy names, if it is the proxy who speaks.
    fn user(&self, peer: &Peer, headers: &HeaderMap) -> Option<User> {
        if !self.speaks(peer) {
            return None;
        }
        let first = |names: &[String]| {
            let mut values = names
                .iter()
                .filter_map(|name| headers.get(name)?.to_str().ok());
            values.find(|value| !value.is_empty()).map(str::to_owned)
        };
        let groups = self
            .groups
            .iter()
            .flat_map(|name| headers.get_all(name))
            .filter_map(|value| value.to_str().ok())
            .filter(|value| !value.is_empty())
            .map(str::to_owned);
        let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (header, value) in headers {
            let mut prefixes = self.extra_prefixes.iter();
            let key = prefixes.find_map(|prefix| header.as_str().strip_prefix(prefix.as_str()));
            if let (Some(key), Ok(value)) = (key, value.to_str()) {
                let key = percent_decode_str(key).decode_utf8_lossy().to_lowercase();
                extra.entry(key).or_default().push(value.to_owned());
            }
        }
        Some(User {
            name: first(&self.users)?,
            uid: first(&self.uids).unwrap_or_default(),
            groups: groups.collect(),
            extra,
        })
    }
}

/// Tells who asks and whether it may.
pub(crate) struct FrontProxyAuth {
    /// `None` until the `ConfigMap` was read, or found missing.
    trust: RwLock<Option<Arc<Trust>>>,
    guard: Guard,
}

impl FrontProxyAuth {
    /// What neither a proxy nor a certificate tells, `guard` does: who a token
    /// is, and what users may.
    pub(crate) const fn new(guard: Guard) -> Self {
        Self {
            trust: RwLock::new(None),
            guard,
        }
    }

    /// Whether it is known whom to trust.
    pub(crate) fn is_ready(&self) -> bool {
        self.trust().is_some()
    }

    fn trust(&self) -> Option<Arc<Trust>> {
        self.trust
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Trusts what the `ConfigMap` holds now; what is not usable changes nothing.
    pub(crate) fn replace(&self, data: &BTreeMap<String, String>) -> Result<(), TrustError> {
        let trust = Trust::of(data)?;
        *self.trust.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(trust));
        Ok(())
    }

    /// Whether it is a front proxy at the other end.
    pub(crate) fn is_proxy(&self, peer: &Peer) -> bool {
        let trust = self.trust().filter(|_| !peer.certificates.is_empty());
        trust.is_some_and(|trust| {
            let proxy = trust.proxy.as_ref();
            proxy.is_some_and(|proxy| proxy.speaks(peer))
        })
    }

    /// Who asks.
    pub(crate) async fn authenticate(
        &self,
        peer: Option<&Peer>,
        headers: &HeaderMap,
    ) -> Result<Arc<User>, Refusal> {
        let peer = peer.filter(|peer| !peer.certificates.is_empty());
        if let (Some(trust), Some(peer)) = (self.trust(), peer) {
            let proxy = trust.proxy.as_ref();
            if let Some(user) = proxy.and_then(|proxy| proxy.user(peer, headers)) {
                // A proxy passes on those whom it does not know as such.
                let known = user.clone().authenticated();
                return Ok(Arc::new(known.unwrap_or(user)));
            }
            let clients = trust.clients.as_ref();
            if let Some(user) = clients.and_then(|it| it.user(&peer.certificates).ok()) {
                return Ok(Arc::new(user));
            }
        }
        if headers.contains_key(AUTHORIZATION) {
            return self.guard.authenticate(None, headers).await;
        }
        Ok(Arc::new(anonymous()))
    }

    /// Whether `user` may.
    pub(crate) async fn authorize(&self, user: &User, access: &Access) -> Result<(), Refusal> {
        if user.groups.iter().any(|group| group == MASTERS) {
            return Ok(());
        }
        self.guard.authorize(user, access).await
    }
}

fn anonymous() -> User {
    User {
        name: "system:anonymous".to_owned(),
        groups: vec!["system:unauthenticated".to_owned()],
        ..User::default()
    }
}

/// Keeps `front` as the `ConfigMap` is, for ever.
pub(crate) async fn follow_trust(connection: Connection, front: Arc<FrontProxyAuth>) {
    let Connection { client, answered } = connection;
    let api = Api::<ConfigMap>::namespaced(client, NAMESPACE);
    let config = Config::default()
        .fields(&format!("metadata.name={CONFIG_MAP}"))
        .timeout(120);
    let events = watcher::watcher(api, config);
    follow_events(CONFIG_MAP, answered, events, |event| match event {
        Event::Apply(map) | Event::InitApply(map) => {
            let data = map.data.unwrap_or_default();
            match front.replace(&data) {
                Ok(()) => tracing::info!("certificate authorities of front proxies and clients read"),
                Err(error) => tracing::error!(%error, config_map = CONFIG_MAP, "ConfigMap not usable; the authorities before stay trusted"),
            }
        }
        Event::Delete(_) => {
            tracing::error!(config_map = CONFIG_MAP, "ConfigMap deleted; the authorities before stay trusted");
        }
        Event::Init | Event::InitDone => {}
    })
    .await;
}

#[cfg(test)]
mod tests;
