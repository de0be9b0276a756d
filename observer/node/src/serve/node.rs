//! What answers are made from.

use std::sync::{Arc, atomic::AtomicBool};

use axum::{
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY},
    },
    response::{IntoResponse, Response},
};
use tokio::sync::Semaphore;

use super::{
    body_cache::{BodyCache, Content},
    content_coding::ContentCoding,
    plain::plain,
    samples::Pods,
};
use crate::{
    auth::SecurityReader,
    export::OwnProcess,
    history::History,
    listen::ConnectionCounters,
    liveness::Liveness,
    log,
    node::{Snapshot, Snapshots},
};

/// What is known of the node, and who asks for it.
pub(super) struct ServerState {
    pub(super) snapshots: Snapshots,
    pub(super) cache: BodyCache,
    pub(super) security: SecurityReader,
    pub(super) crowd: Arc<ConnectionCounters>,
    pub(super) liveness: Liveness,
    pub(super) history: Arc<History>,
    /// Places for those who listen to events.
    pub(super) listeners: Arc<Semaphore>,
    /// Whether a walk over a process's goroutines is under way.
    pub(super) walking: AtomicBool,
    pub(super) pods: Arc<Pods>,
}

impl ServerState {
    /// The latest snapshot, or why there is none.
    pub(super) fn snapshot(&self) -> Result<Arc<Snapshot>, &'static str> {
        // Figures must not be served as if they were fresh.
        if self.snapshots.has_changed().is_err() {
            return Err("not ready: the observation has stopped\n");
        }
        self.snapshots
            .borrow()
            .clone()
            .ok_or("not ready: the node has not been observed yet\n")
    }

    pub(super) async fn respond(&self, content: Content, headers: &HeaderMap) -> Response {
        let snapshot = match self.snapshot() {
            Ok(snapshot) => snapshot,
            Err(reason) => return plain(StatusCode::SERVICE_UNAVAILABLE, reason),
        };
        let (security, connections) = (self.security.read(), self.crowd.read());
        let own = move || OwnProcess {
            security,
            connections,
            log_lines_lost: log::lost(),
            ..OwnProcess::read()
        };
        let coding = ContentCoding::asked(headers);
        match self.cache.get(snapshot, content, coding, own).await {
            Ok((body, coding)) => {
                let headers = [
                    (CONTENT_TYPE, content.media_type()),
                    (CACHE_CONTROL, "no-store"),
                    (VARY, "Accept, Accept-Encoding"),
                ];
                let mut response = (headers, body).into_response();
                if let Some(coding) = coding {
                    let name = HeaderValue::from_static(coding.name());
                    response.headers_mut().insert(CONTENT_ENCODING, name);
                }
                response
            }
            Err(error) => {
                tracing::error!(%error, ?content, "failed to encode the response");
                plain(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the answer could not be written; see the log\n",
                )
            }
        }
    }
}
