//! Every request: who asks, what for, whether it may, and the answer.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    http::{
        HeaderMap, Method, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use observer_node::auth::{Peer, SecurityReader};
use percent_encoding::percent_decode_str;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::discovery::{Discovery, accepts_json};
use crate::{
    api::{
        body,
        group::ApiGroups,
        path::{self, Asked, External, RequestedObjects},
        selector::Selector,
        status::ApiError,
    },
    data::{
        fan_out::FanOut,
        values::{Selectors, Values},
    },
    front_proxy::FrontProxyAuth,
    telemetry::{Nodes, Telemetry},
};

/// How long a request for values waits for its turn.
const QUEUED: Duration = Duration::from_secs(2);
const METRICS_PATH: &str = "/metrics";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What answers are made of.
pub(crate) struct Server {
    /// Which groups are served.
    pub groups: ApiGroups,
    /// What tells of them.
    pub discovery: Discovery,
    /// Where values come from.
    pub values: Values,
    /// The nodes behind them.
    pub nodes: Arc<FanOut>,
    /// Who asks, and whether it may.
    pub front: Arc<FrontProxyAuth>,
    /// The adapter's own figures.
    pub telemetry: Arc<Telemetry>,
    /// Those of TLS and of decisions.
    pub security: SecurityReader,
    /// Whether the adapter is about to end.
    pub draining: AtomicBool,
    /// How long a request may take, whatever it waits for.
    pub patience: Duration,
    /// Requests for values at a time, which bounds the memory of answers.
    pub places: Semaphore,
}

impl Server {
    /// What it cannot serve without yet.
    pub(crate) fn lacks(&self) -> Vec<&'static str> {
        let mut lacks = self.values.missing();
        if !self.front.is_ready() {
            lacks.push("the authorities of front proxies");
        }
        if !self.nodes.client().is_ready() {
            lacks.push("the authority of the observers");
        }
        if self.draining.load(Ordering::Relaxed) {
            lacks.push("time: it is ending");
        }
        lacks
    }
}

/// Requests for values that are answered at a time; a million values then take
/// some hundred megabytes.
pub(crate) const VALUES_AT_ONCE: usize = 32;

/// Answers everything.
pub(crate) fn router(server: Arc<Server>) -> Router {
    Router::new().fallback(handle).with_state(server)
}

async fn handle(State(server): State<Arc<Server>>, request: Request) -> Response {
    let begun = Instant::now();
    let peer = request.extensions().get::<ConnectInfo<Peer>>();
    let peer = peer.map(|ConnectInfo(peer)| peer.clone());
    let (parts, _) = request.into_parts();
    let asking = Asking {
        server: &server,
        peer,
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
    };
    let (route, answer) = asking.in_time().await;
    let response = answer.unwrap_or_else(IntoResponse::into_response);
    server
        .telemetry
        .answered(route, response.status().as_u16(), begun);
    response
}

/// A request under way.
struct Asking<'a> {
    server: &'a Server,
    peer: Option<Peer>,
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
}

type Answer = Result<Response, ApiError>;

impl Asking<'_> {
    /// The answer, or that it took too long.
    async fn in_time(&self) -> (&'static str, Answer) {
        let patience = self.server.patience;
        let late = |_| ("late", Err(ApiError::Late(patience)));
        timeout(patience, self.answer()).await.unwrap_or_else(late)
    }

    /// The answer, and the kind of route for the adapter's own figures.
    async fn answer(&self) -> (&'static str, Answer) {
        match self.path.as_str() {
            "/healthz" | "/livez" => return ("health", Ok(text(StatusCode::OK, "ok"))),
            "/readyz" => return ("health", Ok(self.ready())),
            // Said to everybody: there is none, and whoever merges the
            // documents of servers must learn that and no refusal.
            "/openapi/v2" => return ("openapi", Err(ApiError::NoPath)),
            _ => {}
        }
        let verb = match self.method {
            Method::HEAD => "get".to_owned(),
            _ => self.method.as_str().to_ascii_lowercase(),
        };
        let Some(request) = path::Request::of(self.server.groups, &verb, &self.path) else {
            let error = ApiError::BadRequest("the path is malformed".to_owned());
            return ("other", Err(error));
        };
        let route = match request.asked {
            Asked::Values(_) | Asked::External(_) => "values",
            Asked::Groups | Asked::Group(_) | Asked::Resources(..) => "discovery",
            Asked::OpenApi | Asked::Schema(..) => "openapi",
            Asked::Other if self.path == METRICS_PATH => "metrics",
            Asked::Other => "other",
        };
        (route, self.allowed(request).await)
    }

    async fn allowed(&self, request: path::Request) -> Answer {
        let front = &self.server.front;
        let checked = async {
            let user = front
                .authenticate(self.peer.as_ref(), &self.headers)
                .await?;
            front.authorize(&user, &request.access).await
        };
        checked.await.map_err(ApiError::Refused)?;
        let known = request.asked != Asked::Other || self.path == METRICS_PATH;
        if known && !matches!(self.method, Method::GET | Method::HEAD) {
            return Err(ApiError::Method(self.method.to_string()));
        }
        let (discovery, headers) = (&self.server.discovery, &self.headers);
        match request.asked {
            Asked::Groups => Ok(discovery.groups(headers)),
            Asked::Group(group) => discovery.group(group, headers).ok_or(ApiError::NoPath),
            Asked::Resources(group, version) => discovery
                .resources((group, version), headers)
                .ok_or(ApiError::NoPath),
            Asked::OpenApi | Asked::Schema(..) if !accepts_json(headers) => {
                Err(ApiError::NotAcceptable)
            }
            Asked::OpenApi => Ok(discovery.openapi(headers)),
            Asked::Schema(group, version) => discovery
                .schema((group, version), headers)
                .ok_or(ApiError::NoPath),
            Asked::Values(target) => {
                let _place = self.place().await?;
                self.values(target).await
            }
            Asked::External(external) => {
                let _place = self.place().await?;
                self.external(external).await
            }
            Asked::Other if self.path == METRICS_PATH => self.metrics(),
            Asked::Other => Err(ApiError::NoPath),
        }
    }

    /// The right to be answered now.
    async fn place(&self) -> Result<SemaphorePermit<'_>, ApiError> {
        let waited = timeout(QUEUED, self.server.places.acquire()).await;
        // The semaphore is never closed.
        waited.ok().and_then(Result::ok).ok_or(ApiError::Busy)
    }

    fn selectors(&self) -> Result<Selectors, ApiError> {
        let mut selectors = Selectors::default();
        for (name, value) in parameters(&self.query)? {
            match name.as_str() {
                "labelSelector" => selectors.objects = Selector::parse(&value)?,
                "metricLabelSelector" => selectors.containers = Selector::parse(&value)?,
                _ => {}
            }
        }
        Ok(selectors)
    }

    async fn values(&self, target: RequestedObjects) -> Answer {
        let selectors = self.selectors()?;
        let items = self.server.values.get(&target, &selectors).await?;
        let selector = selectors.containers.to_object();
        written(body::list(
            target.version,
            &target.metric,
            selector.as_ref(),
            items,
        ))
    }

    async fn external(&self, external: External) -> Answer {
        let selector = self.selectors()?.objects;
        let item = self.server.values.external(&external, selector).await?;
        written(body::external_list(&external.metric, item))
    }

    fn metrics(&self) -> Answer {
        let server = self.server;
        let nodes = Nodes {
            unreachable: server.nodes.unreachable(),
            without_observer: server.values.nodes_without_observer() as u64,
        };
        let found = server.telemetry.text(nodes, &server.security.read());
        let body = found.map_err(|error| ApiError::BadRequest(error.to_string()))?;
        Ok(([(CONTENT_TYPE, OPEN_METRICS)], body).into_response())
    }

    fn ready(&self) -> Response {
        let lacks = self.server.lacks();
        if lacks.is_empty() {
            return text(StatusCode::OK, "ok");
        }
        let lacks = format!("not ready, there is no: {}", lacks.join(", "));
        text(StatusCode::SERVICE_UNAVAILABLE, &lacks)
    }
}

fn written(body: serde_json::Result<Vec<u8>>) -> Answer {
    let body = body.map_err(|error| ApiError::BadRequest(error.to_string()))?;
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-cache, private"),
    ];
    Ok((headers, body).into_response())
}

/// The parameters of a query, decoded.
fn parameters(query: &str) -> Result<Vec<(String, String)>, ApiError> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        let decoded = percent_decode_str(&text).decode_utf8();
        decoded
            .map(Cow::into_owned)
            .map_err(|_| ApiError::BadRequest("the query is not text in UTF-8".to_owned()))
    };
    query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((decode(name)?, decode(value)?))
        })
        .collect()
}

fn text(status: StatusCode, text: &str) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
    ];
    (status, headers, text.to_owned()).into_response()
}
