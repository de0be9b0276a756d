//! The connection to the API server.

use std::{env, ffi::OsString, path::Path, sync::Arc, time::Duration};

use kube::{
    Client, Config,
    client::ClientBuilder,
    config::{InClusterError, KubeConfigOptions, KubeconfigError},
};
use tokio::sync::Notify;
use tower::util::MapResponseLayer;

/// Where a pod finds its service account's token.
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
const HOST: &str = "KUBERNETES_SERVICE_HOST";
const KUBECONFIG: &str = "KUBECONFIG";
/// How long a connection may take: an API server that is away must be noticed
/// long before the kernel gives up on a packet without an answer. A connection
/// begun before kube-proxy knows the way never finds it, for its packets go where
/// the first one went.
const CONNECT: Duration = Duration::from_secs(4);

/// There is no way to the API server.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Neither a pod's environment nor a kubeconfig.
    #[error(
        "no cluster to connect to: expected a pod's environment ({HOST} and {TOKEN}) or a kubeconfig named by {KUBECONFIG}; run with --kube off outside a cluster"
    )]
    NoConfiguration,
    /// The pod's environment does not hold together.
    #[error(
        "the pod's configuration of the API server cannot be used; check that the service account's token and certificate authority are mounted (automountServiceAccountToken)"
    )]
    InCluster(#[source] InClusterError),
    /// The kubeconfig does not hold together.
    #[error("the kubeconfig {} cannot be used", file.to_string_lossy())]
    Kubeconfig {
        /// What `KUBECONFIG` names.
        file: OsString,
        /// Why not.
        #[source]
        error: KubeconfigError,
    },
    /// The client could not be made of the configuration.
    #[error("the client of the API server cannot be made")]
    Client(#[source] kube::Error),
}

/// The connection to the API server.
#[derive(Clone)]
pub struct Connection {
    /// Asks it.
    pub client: Client,
    /// Wakes those who wait for the server to come back, at every answer to
    /// anybody.
    pub answered: Arc<Notify>,
}

impl Connection {
    /// By a configuration.
    pub fn new(config: Config) -> Result<Self, ClientError> {
        let answered = Arc::new(Notify::new());
        let notify = Arc::clone(&answered);
        let note = MapResponseLayer::new(move |response| {
            notify.notify_waiters();
            response
        });
        let builder = ClientBuilder::try_from(config).map_err(ClientError::Client)?;
        let client = builder.with_layer(&note).build();
        Ok(Self { client, answered })
    }
}

/// Whether this process runs in a pod that may speak to the API server.
pub fn is_in_cluster() -> bool {
    env::var_os(HOST).is_some_and(|host| !host.is_empty()) && Path::new(TOKEN).exists()
}

/// A connection to the API server, by the kubeconfig that `KUBECONFIG` names, else
/// by the pod's environment. Nothing is sent yet, so an API server that is away
/// is no error; a token file and its certificate authority are read again as
/// they rotate. To be called within a tokio runtime.
pub async fn connect() -> Result<Connection, ClientError> {
    let mut config = configuration().await?;
    config.connect_timeout = Some(CONNECT);
    Connection::new(config)
}

async fn configuration() -> Result<Config, ClientError> {
    if let Some(file) = env::var_os(KUBECONFIG).filter(|file| !file.is_empty()) {
        return Config::from_kubeconfig(&KubeConfigOptions::default())
            .await
            .map_err(|error| ClientError::Kubeconfig { file, error });
    }
    if is_in_cluster() {
        return Config::incluster().map_err(ClientError::InCluster);
    }
    Err(ClientError::NoConfiguration)
}
