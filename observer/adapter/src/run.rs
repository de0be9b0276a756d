//! Joins the parts, and serves.

use std::{
    future::Future,
    io,
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use observer_node::{
    auth::{
        Counters, Guard, SecurityError, SecurityReader, review,
        tls::{CertificateSource, ServerTls, TlsError, host_names},
    },
    kube::ClientError,
    listen::{
        ConnectionLimits,
        bind::{Address, BindError},
    },
};
use tokio::{
    net::TcpListener,
    sync::{Mutex, Semaphore, watch},
};

use super::{
    data::{
        fan_out::{FanOut, FanOutLimits},
        node_client::NodeClient,
        values::Values,
        watches,
    },
    front_proxy::{FrontProxyAuth, follow_trust},
    listen::serve,
    registration::{Bundle, Registrar, follow_namespace},
    serve::{Discovery, Server, VALUES_AT_ONCE},
    settings::AdapterSettings,
    telemetry::Telemetry,
    tls_secrets::TlsSecrets,
};

/// What a request may wait for who asks and whether it may, and for its turn.
const REVIEWS: Duration = Duration::from_secs(10);
/// How often it is looked whether all is there to serve with.
const LOOK: Duration = Duration::from_millis(200);
/// How long after the signal to end requests are still taken, until everybody
/// knows that the pod ends.
const DRAIN: Duration = Duration::from_secs(5);

/// Why the adapter cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// There is no cluster.
    #[error(
        "no cluster to serve: expected a pod's environment with a service account, or a kubeconfig named by KUBECONFIG"
    )]
    NoCluster,
    /// The client of the API server.
    #[error(transparent)]
    Client(ClientError),
    /// The address.
    #[error(transparent)]
    Listen(#[from] BindError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// What asks the API server.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// The server.
    #[error("the server failed: {0}")]
    Server(io::Error),
    /// A task that goes on for ever has ended.
    #[error(
        "internal error: a part of the adapter has ended; the log may say why; please report it"
    )]
    Ended,
}

/// Serves until `shutdown` completes.
pub async fn run(
    settings: &AdapterSettings,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let listeners = Address::At(settings.listen).bind()?;
    let listeners = listeners.into_iter().map(TcpListener::from_std);
    let listeners = listeners
        .collect::<io::Result<_>>()
        .map_err(ServeError::Server)?;
    let connection = observer_node::kube::connect()
        .await
        .map_err(|error| match error {
            ClientError::NoConfiguration => ServeError::NoCluster,
            error => ServeError::Client(error),
        })?;
    let counters = Arc::new(Counters::default());
    let names = names(settings);
    let tls = ServerTls::new(source(settings, &names), true, Arc::clone(&counters))?;
    let telemetry = Arc::new(Telemetry::default());
    let nodes = fan_out(settings, Arc::clone(&telemetry));
    let limits = review::AnswerCacheLimits::default();
    let guard = Guard::by_reviews(
        connection.client.clone(),
        None,
        limits,
        Arc::clone(&counters),
    )?;
    let front = Arc::new(FrontProxyAuth::new(guard));

    let (objects, mut tasks) = watches::watch(&connection, &settings.namespace);
    tasks.spawn(follow_trust(connection.clone(), Arc::clone(&front)));
    let (authority, known) = watch::channel(None);
    let serving = settings.certificate.pair().is_none();
    let keeper = TlsSecrets {
        connection: connection.clone(),
        namespace: settings.namespace.clone(),
        names,
        serving: serving.then(|| tls.replacer()),
        authority,
        node_ca_file: settings.node_ca_file.clone(),
        nodes: Arc::clone(&nodes),
    };
    tasks.spawn(keeper.run());
    let values = Values::new(
        objects.clone(),
        Arc::clone(&nodes),
        settings.namespace.clone(),
        Arc::clone(&telemetry),
    );
    let server = Arc::new(Server {
        groups: settings.group,
        discovery: Discovery::new(settings.group),
        values,
        nodes,
        front,
        telemetry: Arc::clone(&telemetry),
        security: SecurityReader::new(Arc::clone(&counters), true),
        draining: AtomicBool::new(false),
        patience: settings.node_timeout + REVIEWS,
        places: Semaphore::new(VALUES_AT_ONCE),
    });
    let registrar = Arc::new(Registrar {
        connection: connection.clone(),
        groups: settings.group,
        namespace: settings.namespace.clone(),
        service: settings.service.clone(),
        owner: settings.cluster_role.clone(),
        bundle: match &settings.tls_ca_file {
            _ if serving => Bundle::Kept(known),
            Some(file) => Bundle::File(file.clone()),
            None => Bundle::Foreign,
        },
        objects,
        was_installed: AtomicBool::new(false),
        telemetry,
        left: Mutex::new(false),
        told: RwLock::default(),
    });
    let ready = ready(Arc::clone(&server));
    tasks.spawn(Arc::clone(&registrar).run(ready));
    tasks.spawn(follow_namespace(connection, Arc::clone(&registrar)));
    let groups: Vec<_> = settings.group.all().iter().map(|it| it.name()).collect();
    tracing::info!(address = %settings.listen, groups = groups.join(", "), "serving");
    let draining = Arc::clone(&server);
    let drained = async move {
        shutdown.await;
        tracing::info!("ending");
        draining.draining.store(true, Ordering::Relaxed);
        let leave = registrar.leave_if_uninstalled();
        tokio::join!(leave, tokio::time::sleep(DRAIN));
    };
    let bounds = ConnectionLimits::of_adapter();
    tokio::select! {
        end = serve(listeners, server, tls, bounds, drained) => {
            end.map_err(ServeError::Server)
        }
        // Each goes on for ever, so it has panicked.
        Some(_) = tasks.join_next() => Err(ServeError::Ended),
    }
}

/// Returns once all is there to serve with.
async fn ready(server: Arc<Server>) {
    while !server.lacks().is_empty() {
        tokio::time::sleep(LOOK).await;
    }
}

/// The names that the adapter is asked by.
fn names(settings: &AdapterSettings) -> Vec<String> {
    let service = format!("{}.{}", settings.service, settings.namespace);
    let names = [
        format!("{service}.svc"),
        format!("{service}.svc.cluster.local"),
        service,
    ];
    host_names(names)
}

fn source(settings: &AdapterSettings, names: &[String]) -> CertificateSource {
    match settings.certificate.pair() {
        Some(files) => CertificateSource::Files(files),
        // Until the one of our authority is there.
        None => CertificateSource::SelfSigned(names.to_vec()),
    }
}

fn fan_out(settings: &AdapterSettings, telemetry: Arc<Telemetry>) -> Arc<FanOut> {
    let client = NodeClient::new(settings.node_port, settings.token_file.clone());
    let limits = FanOutLimits {
        fresh: settings.ttl,
        intervals: settings.stale_intervals,
        patience: settings.node_timeout,
    };
    FanOut::new(client, limits, telemetry)
}
