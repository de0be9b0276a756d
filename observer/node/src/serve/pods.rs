//! `/api/v1/pods`: what autoscaling asks of this node.

use std::{sync::Arc, time::SystemTime};

use axum::{
    extract::State,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};

use super::{node::ServerState, plain::plain};

pub(super) async fn pods(State(node): State<Arc<ServerState>>) -> Response {
    let snapshot = match node.snapshot() {
        Ok(snapshot) => snapshot,
        Err(reason) => return plain(StatusCode::SERVICE_UNAVAILABLE, reason),
    };
    let found = {
        let mut recorder = node.pods.recorder();
        recorder.record(&snapshot);
        recorder.pods(&snapshot, SystemTime::now())
    };
    match serde_json::to_vec(&found) {
        Ok(body) => {
            let headers = [
                (CONTENT_TYPE, "application/json"),
                (CACHE_CONTROL, "no-store"),
            ];
            (headers, body).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "failed to encode the figures of the pods as JSON");
            let text = "the answer could not be written; see the log\n";
            plain(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }
}
