//! `/api/v1/pods`: what autoscaling asks of this node.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use axum::{
    extract::State,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};

use super::{Node, plain};
use crate::{node::Snapshots, scaling::Recorder, vitals::Vitals};

/// What rates are taken over: one sync period of the HorizontalPodAutoscaler.
const WINDOW: Duration = Duration::from_secs(15);

/// Remembers of every snapshot what rates are made of, asked or not.
pub(super) struct Pods(Mutex<Recorder>);

impl Pods {
    /// Records until the snapshots end or nobody asks any more.
    pub(super) fn record(mut snapshots: Snapshots, vitals: &Vitals) -> Arc<Self> {
        let pods = Arc::new(Self(Mutex::new(Recorder::new(WINDOW))));
        let recording = Arc::downgrade(&pods);
        let pulse = vitals.part("recorder");
        tokio::spawn(async move {
            let _pulse = pulse;
            while snapshots.changed().await.is_ok() {
                let snapshot = snapshots.borrow_and_update().clone();
                let Some(pods) = recording.upgrade() else {
                    return;
                };
                if let Some(snapshot) = snapshot {
                    pods.recorder().record(&snapshot);
                }
            }
        });
        pods
    }

    fn recorder(&self) -> MutexGuard<'_, Recorder> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) async fn pods(State(node): State<Arc<Node>>) -> Response {
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
            tracing::error!(%error, "the figures of the pods cannot be encoded as JSON");
            let text = "the answer could not be written; see the log\n";
            plain(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }
}
