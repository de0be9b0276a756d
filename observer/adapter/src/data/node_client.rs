//! Asks one node's observer, over connections that are kept.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use axum::{
    body::{Body, to_bytes},
    http::{
        HeaderValue, Request, StatusCode,
        header::{ACCEPT, AUTHORIZATION},
    },
};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use observer_node::{auth::tls, scaling::wire::NodePods};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

/// The name that every observer's certificate bears.
pub const OBSERVER_NAME: &str = "observer.go-observer.svc";
const PATH: &str = "/api/v1/pods";
/// No node's answer is longer: 110 pods take some hundred kilobytes.
const LONGEST_ANSWER_BYTES: usize = 16 << 20;
/// Longer than the time between two syncs of an autoscaler, shorter than an
/// observer keeps a connection that is not used.
const IDLE: Duration = Duration::from_secs(60);
/// Of each connection: one that grows as answers do would be kept for every node.
const BUFFER_BYTES: usize = 16 << 10;
const CONNECT: Duration = Duration::from_secs(2);
/// The kubelet renews a token when a fifth of its time is left.
const TOKEN_READ: Duration = Duration::from_secs(30);

type Https = Client<HttpsConnector<HttpConnector>, Body>;

/// Why a node gave no figures.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeError {
    /// No authority of the observers' certificates is known yet.
    #[error("the authority of the observers' certificates is not known yet")]
    NoAuthority,
    /// Its PEM is not usable.
    #[error("the authority of the observers' certificates is not usable: {0}")]
    Authority(String),
    /// The token of the adapter's service account.
    #[error("cannot read the service account's token {}: {error}", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The connection or the exchange failed.
    #[error("{0}")]
    Connection(#[from] hyper_util::client::legacy::Error),
    /// The request cannot be made.
    #[error("the request cannot be made: {0}")]
    Request(#[from] axum::http::Error),
    /// Something else than 200.
    #[error(
        "the observer answered {0}; 401 and 403 mean that ClusterRole go-observer-metrics-reader is not bound to the adapter"
    )]
    Status(StatusCode),
    /// It broke off, or is too long.
    #[error("the observer's answer cannot be read: {0}")]
    Body(#[from] axum::Error),
    /// It is not what was expected.
    #[error("the observer's answer is not understood: {0}")]
    Json(#[from] serde_json::Error),
    /// An address is used again.
    #[error("another node answered: {0:?}")]
    OtherNode(String),
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Late(Duration),
}

/// Asks nodes.
#[derive(Debug)]
pub(crate) struct NodeClient {
    port: u16,
    token_file: PathBuf,
    token: Mutex<Option<(Instant, HeaderValue)>>,
    https: RwLock<Option<(Vec<u8>, Https)>>,
}

impl NodeClient {
    /// Of observers on this port, with the token that this file holds.
    pub(crate) fn new(port: u16, token_file: PathBuf) -> Self {
        Self {
            port,
            token_file,
            token: Mutex::default(),
            https: RwLock::default(),
        }
    }

    /// Verifies observers by these authorities from now on. Connections under
    /// way go on.
    pub(crate) fn trust(&self, pem: &[u8]) -> Result<(), NodeError> {
        let mut https = self.https.write().unwrap_or_else(PoisonError::into_inner);
        if https.as_ref().is_none_or(|(trusted, _)| trusted != pem) {
            *https = Some((pem.to_vec(), client(pem)?));
        }
        Ok(())
    }

    /// Whether observers can be verified.
    pub(crate) fn is_ready(&self) -> bool {
        let https = self.https.read().unwrap_or_else(PoisonError::into_inner);
        https.is_some()
    }

    /// What the observer at this address tells of its node's pods.
    pub(crate) async fn pods(&self, node: &str, address: IpAddr) -> Result<NodePods, NodeError> {
        let https = {
            let https = self.https.read().unwrap_or_else(PoisonError::into_inner);
            let (_, https) = https.as_ref().ok_or(NodeError::NoAuthority)?;
            https.clone()
        };
        let uri = format!("https://{}{PATH}", SocketAddr::new(address, self.port));
        let request = Request::get(uri)
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, self.token().await?)
            .body(Body::empty())?;
        let response = https.request(request).await?;
        if response.status() != StatusCode::OK {
            if response.status() == StatusCode::UNAUTHORIZED {
                *self.kept_token() = None;
            }
            return Err(NodeError::Status(response.status()));
        }
        let body = to_bytes(Body::new(response.into_body()), LONGEST_ANSWER_BYTES).await?;
        let pods: NodePods = serde_json::from_slice(&body)?;
        if pods.node == node {
            Ok(pods)
        } else {
            Err(NodeError::OtherNode(pods.node))
        }
    }

    fn kept_token(&self) -> std::sync::MutexGuard<'_, Option<(Instant, HeaderValue)>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn token(&self) -> Result<HeaderValue, NodeError> {
        if let Some((at, token)) = &*self.kept_token()
            && at.elapsed() < TOKEN_READ
        {
            return Ok(token.clone());
        }
        let failed = |error| NodeError::Token {
            path: self.token_file.clone(),
            error,
        };
        let text = tokio::fs::read_to_string(&self.token_file)
            .await
            .map_err(failed)?;
        let mut token = HeaderValue::from_str(&format!("Bearer {}", text.trim()))
            .map_err(|error| failed(std::io::Error::other(error)))?;
        token.set_sensitive(true);
        *self.kept_token() = Some((Instant::now(), token.clone()));
        Ok(token)
    }
}

fn client(pem: &[u8]) -> Result<Https, NodeError> {
    let unusable = |error: &dyn std::fmt::Display| NodeError::Authority(error.to_string());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    if roots.is_empty() {
        return Err(unusable(&"there is no certificate in it"));
    }
    let config = ClientConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?
        .with_root_certificates(Arc::new(roots))
        .with_no_client_auth();
    let name = ServerName::try_from(OBSERVER_NAME).map_err(|error| unusable(&error))?;
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(CONNECT));
    connector.set_nodelay(true);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_only()
        .with_server_name_resolver(FixedServerNameResolver::new(name))
        .enable_http1()
        .wrap_connector(connector);
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(1)
        .http1_read_buf_exact_size(BUFFER_BYTES)
        .build(connector))
}
