//! `/api/v1/containers`: the page's table and one row's past, as JSON.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::{StatusCode, header::CACHE_CONTROL},
    response::{IntoResponse, Response},
};

use super::{node::ServerState, plain::plain};

const FRESH: [(axum::http::HeaderName, &str); 1] = [(CACHE_CONTROL, "no-store")];

pub(super) async fn containers(State(node): State<Arc<ServerState>>) -> Response {
    if let Err(reason) = node.snapshot() {
        return plain(StatusCode::SERVICE_UNAVAILABLE, reason);
    }
    match node.history.table() {
        Some(table) => (FRESH, Json(&*table)).into_response(),
        None => plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready: the node has not been observed yet\n",
        ),
    }
}

pub(super) async fn container(
    State(node): State<Arc<ServerState>>,
    Path(id): Path<String>,
) -> Response {
    if let Err(reason) = node.snapshot() {
        return plain(StatusCode::SERVICE_UNAVAILABLE, reason);
    }
    match node.history.view(&id) {
        Some(view) => (FRESH, Json(view)).into_response(),
        None => plain(
            StatusCode::NOT_FOUND,
            "no such container or process is observed now; /api/v1/containers lists them\n",
        ),
    }
}
