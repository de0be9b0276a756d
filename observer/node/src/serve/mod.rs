//! HTTP of the node, plain or over TLS: the page, `/metrics`, `/healthz`, `/readyz`,
//! `/api/v1/processes`, the goroutines of one process, `/api/v1/containers` and its events.

mod body_cache;
mod containers;
mod content_coding;
mod events;
mod goroutines;
mod host_check;
mod json;
mod node;
mod page;
mod plain;
mod pods;
mod samples;

#[cfg(test)]
mod tests;

use std::{
    fmt::Write,
    future::Future,
    io,
    sync::{Arc, atomic::AtomicBool},
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header::ACCEPT},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};

use self::{
    body_cache::{BodyCache, Content},
    node::ServerState,
    plain::plain,
    samples::Pods,
};
use crate::{
    auth::{Security, User},
    export::Format,
    history::History,
    listen::{self, ConnectionCounters, ConnectionLimits, ConnectionSlot, Encryption},
    liveness::Liveness,
    node::{Snapshot, Snapshots},
};

/// Answers on all of `listeners` until `shutdown` completes, and half a second more
/// for requests under way.
pub async fn serve(
    listeners: Vec<TcpListener>,
    snapshots: Snapshots,
    security: Security,
    liveness: Liveness,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let answers = Answers::new(snapshots, &security, &liveness);
    answers
        .serve(listeners, security, &liveness, shutdown)
        .await
}

/// What answers with the node's figures, whoever asks.
pub struct Answers {
    router: Router,
    crowd: Arc<ConnectionCounters>,
}

impl Answers {
    /// Of these snapshots, whose history is kept from now on. Must be called where a
    /// runtime is.
    pub fn new(snapshots: Snapshots, security: &Security, liveness: &Liveness) -> Self {
        let crowd = Arc::default();
        let router = router(snapshots, security, Arc::clone(&crowd), liveness.clone());
        Self { router, crowd }
    }

    /// For this process itself, which nobody has to let in.
    pub fn here(&self) -> Router {
        self.router.clone()
    }

    /// Gives them, as [`serve()`] does.
    pub async fn serve(
        self,
        listeners: Vec<TcpListener>,
        security: Security,
        liveness: &Liveness,
        shutdown: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        let bounds = ConnectionLimits::of_node();
        self.serve_within(bounds, listeners, security, liveness, shutdown)
            .await
    }

    async fn serve_within(
        self,
        bounds: ConnectionLimits,
        listeners: Vec<TcpListener>,
        security: Security,
        liveness: &Liveness,
        shutdown: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        let server = listen::Server {
            router: let_in(self.router, &security),
            encryption: security.tls.as_ref().map(Encryption::by),
            bounds,
            crowd: self.crowd,
            // What somebody may is known of each request, not of the connection.
            is_known: Arc::new(|_| false),
        };
        let mut renewal = JoinSet::new();
        if let Some(tls) = security.tls {
            let pulse = liveness.part("certificates");
            renewal.spawn(async move {
                let _pulse = pulse;
                tls.renew().await;
            });
        }
        listen::serve(listeners, server, shutdown).await
    }
}

fn router(
    snapshots: Snapshots,
    security: &Security,
    crowd: Arc<ConnectionCounters>,
    liveness: Liveness,
) -> Router {
    let node = Arc::new(ServerState {
        history: History::follow(snapshots.clone(), &liveness),
        pods: Pods::record(snapshots.clone(), &liveness),
        snapshots,
        cache: BodyCache::default(),
        security: security.reader(),
        crowd,
        liveness,
        listeners: Arc::new(Semaphore::new(events::LISTENERS)),
        walking: AtomicBool::new(false),
    });
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/v1/processes", get(processes))
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
        .with_state(node)
        .layer(middleware::from_fn(keep_place))
}

/// The answers for those who may have them, and the page.
fn let_in(answers: Router, security: &Security) -> Router {
    // The page holds no figures, and a browser has no token for it.
    let router = security.protect(answers).merge(page::routes());
    if security.tls.is_none() && security.guard.is_none() {
        router.layer(middleware::from_fn(host_check::check))
    } else {
        router
    }
}

/// Strangers do not crowd out who was let in by the guard.
async fn keep_place(request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    if let (Some(_), Some(place)) = (
        extensions.get::<Arc<User>>(),
        extensions.get::<Arc<ConnectionSlot>>(),
    ) {
        place.keep();
    }
    next.run(request).await
}

async fn metrics(State(node): State<Arc<ServerState>>, headers: HeaderMap) -> Response {
    let mut accept = String::new();
    for value in headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
    {
        accept.push_str(value);
        accept.push(',');
    }
    let content = Content::Metrics(Format::negotiate(&accept));
    node.respond(content, &headers).await
}

async fn processes(State(node): State<Arc<ServerState>>, headers: HeaderMap) -> Response {
    node.respond(Content::Processes, &headers).await
}

/// Whether all of the observer lives, so that restarting it would not help.
async fn alive(State(node): State<Arc<ServerState>>) -> Response {
    match node.liveness.report() {
        Ok(parts) => plain(StatusCode::OK, format!("alive\n{parts}")),
        Err(parts) => plain(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not alive\n{parts}"),
        ),
    }
}

async fn ready(State(node): State<Arc<ServerState>>) -> Response {
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
