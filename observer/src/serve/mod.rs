//! HTTP of the node, plain or over TLS: the page, `/metrics`, `/healthz`, `/readyz`,
//! `/api/v1/processes`, the goroutines of one process, `/api/v1/containers` and its events.

mod cache;
pub(crate) mod connection;
pub(crate) mod connections;
mod containers;
mod events;
mod goroutines;
pub mod json;
mod page;
mod pods;

#[cfg(test)]
mod tests;

use std::{
    fmt::Write,
    future::Future,
    io,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{
        HeaderMap, StatusCode,
        header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, VARY},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{
    net::TcpListener,
    sync::{Notify, Semaphore},
    task::JoinSet,
};

use self::{
    cache::{Cache, Content},
    connections::{Bounded, Encryption},
    pods::Pods,
};
use crate::{
    auth::{Peer, Security, SecurityReader},
    export::Format,
    history::History,
    node::{Snapshot, Snapshots},
};

/// How long open requests may take to finish once the server stops.
const GRACE: Duration = Duration::from_millis(500);

struct Node {
    snapshots: Snapshots,
    cache: Cache,
    security: SecurityReader,
    history: Arc<History>,
    /// Places for those who listen to events.
    listeners: Arc<Semaphore>,
    /// Whether a walk over a process's goroutines is under way.
    walking: AtomicBool,
    pods: Arc<Pods>,
}

impl Node {
    /// The latest snapshot, or why there is none.
    fn snapshot(&self) -> Result<Arc<Snapshot>, &'static str> {
        // Figures must not be served as if they were fresh.
        if self.snapshots.has_changed().is_err() {
            return Err("not ready: the observation has stopped\n");
        }
        self.snapshots
            .borrow()
            .clone()
            .ok_or("not ready: the node has not been observed yet\n")
    }

    async fn respond(&self, content: Content) -> Response {
        let snapshot = match self.snapshot() {
            Ok(snapshot) => snapshot,
            Err(reason) => return plain(StatusCode::SERVICE_UNAVAILABLE, reason),
        };
        let cluster = snapshot.cluster.clone();
        match self
            .cache
            .get(snapshot, content, self.security.read())
            .await
        {
            Ok(body) => {
                if let (Some(cluster), Content::Metrics(_)) = (cluster, content) {
                    cluster.served();
                }
                let headers = [
                    (CONTENT_TYPE, content.media_type()),
                    (CACHE_CONTROL, "no-store"),
                    (VARY, "Accept"),
                ];
                (headers, body).into_response()
            }
            Err(error) => {
                tracing::error!(%error, ?content, "cannot write the answer");
                plain(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the answer could not be written; see the log\n",
                )
            }
        }
    }
}

/// Answers on `listener` until `shutdown` completes, and half a second more
/// for requests under way.
pub async fn serve(
    listener: TcpListener,
    snapshots: Snapshots,
    security: Security,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = router(snapshots, &security);
    let encryption = security.tls.as_ref().map(|tls| Encryption {
        acceptor: tls.acceptor(),
        counters: Arc::clone(&security.counters),
    });
    let mut renewal = JoinSet::new();
    if let Some(tls) = security.tls {
        renewal.spawn(tls.renew());
    }
    let router = router.into_make_service_with_connect_info::<Peer>();
    let stopping = Arc::new(Notify::new());
    let stopped = Arc::clone(&stopping);
    let server = axum::serve(Bounded::new(listener, encryption), router).with_graceful_shutdown(
        async move {
            shutdown.await;
            stopping.notify_one();
        },
    );
    tokio::select! {
        result = server => result,
        () = async { stopped.notified().await; tokio::time::sleep(GRACE).await } => Ok(()),
    }
}

fn router(snapshots: Snapshots, security: &Security) -> Router {
    let node = Arc::new(Node {
        history: History::follow(snapshots.clone()),
        pods: Pods::record(snapshots.clone()),
        snapshots,
        cache: Cache::default(),
        security: security.reader(),
        listeners: Arc::new(Semaphore::new(events::LISTENERS)),
        walking: AtomicBool::new(false),
    });
    let router = Router::new()
        .route("/healthz", get(async || plain(StatusCode::OK, "alive\n")))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route(
            "/api/v1/processes",
            get(async |State(node): State<Arc<Node>>| node.respond(Content::Processes).await),
        )
        .route(
            "/api/v1/processes/{pid}/goroutines",
            get(goroutines::goroutines),
        )
        .route("/api/v1/containers", get(containers::containers))
        .route("/api/v1/containers/{id}", get(containers::container))
        .route("/api/v1/events", get(events::events))
        // Our own, so that it stays behind the guard when the page joins.
        .fallback(async || plain(StatusCode::NOT_FOUND, "no such path; / has a page\n"))
        .route("/api/v1/pods", get(pods::pods))
        .with_state(node);
    // The page holds no figures, and a browser has no token for it.
    security.protect(router).merge(page::routes())
}

async fn metrics(State(node): State<Arc<Node>>, headers: HeaderMap) -> Response {
    let mut accept = String::new();
    for value in headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
    {
        accept.push_str(value);
        accept.push(',');
    }
    node.respond(Content::Metrics(Format::negotiate(&accept)))
        .await
}

async fn ready(State(node): State<Arc<Node>>) -> Response {
    match node.snapshot() {
        Ok(snapshot) => ready_text(&snapshot).map_or_else(
            |reason| plain(StatusCode::SERVICE_UNAVAILABLE, reason),
            |text| plain(StatusCode::OK, text),
        ),
        Err(reason) => plain(StatusCode::SERVICE_UNAVAILABLE, reason),
    }
}

/// What `/readyz` says: as an error where figures lack their labels.
fn ready_text(snapshot: &Snapshot) -> Result<String, String> {
    let mut text = "ready\n".to_owned();
    for missing in &snapshot.health.missing {
        text.push_str("lacking: ");
        text.push_str(missing);
        text.push('\n');
    }
    let Some(cluster) = &snapshot.cluster else {
        return Ok(text);
    };
    let why = cluster.watch.error.as_deref();
    if !cluster.watch.listed {
        return Err(format!(
            "not ready: the pods of node {} have not been listed yet{}\n",
            cluster.node,
            why.map(|why| format!(": {why}")).unwrap_or_default()
        ));
    }
    if let Some(why) = why {
        let _ = writeln!(
            text,
            "API server: the pods of node {} are not watched, containers keep the labels known by now: {why}",
            cluster.node
        );
    }
    Ok(text)
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response {
    (
        status,
        [
            (CONTENT_TYPE, "text/plain; charset=utf-8"),
            (CACHE_CONTROL, "no-store"),
        ],
        text.into(),
    )
        .into_response()
}
