//! One body per snapshot, however many clients ask for it and however slowly
//! they read: this is what bounds the memory of answers.

use std::sync::Arc;

use axum::body::Bytes;
use tokio::sync::Mutex;

use super::json;
use crate::{
    auth::SecurityFigures,
    export::{self, Format, OwnProcess},
    node::Snapshot,
};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Metrics(Format),
    Processes,
}

impl Content {
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Metrics(format) => format.content_type(),
            Self::Processes => "application/json",
        }
    }

    const fn slot(self) -> usize {
        match self {
            Self::Metrics(Format::OpenMetrics) => 0,
            Self::Metrics(Format::Prometheus) => 1,
            Self::Processes => 2,
        }
    }
}

/// Why a body could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum RenderError {
    #[error("the metrics cannot be encoded: {0}")]
    Metrics(#[from] std::fmt::Error),
    #[error("the processes cannot be encoded as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("encoding did not finish: {0}")]
    Task(#[from] tokio::task::JoinError),
}

type Slot = Option<(Arc<Snapshot>, Bytes)>;

/// The last body of each kind.
#[derive(Default)]
pub(super) struct Cache {
    slots: [Mutex<Slot>; 3],
}

impl Cache {
    /// The body for this snapshot, made once.
    pub(super) async fn get(
        &self,
        snapshot: Arc<Snapshot>,
        content: Content,
        security: SecurityFigures,
    ) -> Result<Bytes, RenderError> {
        // Held while encoding, so that a crowd of clients costs one encoding.
        let mut slot = self.slots[content.slot()].lock().await;
        if let Some((of, body)) = &*slot
            && Arc::ptr_eq(of, &snapshot)
        {
            return Ok(body.clone());
        }
        *slot = None;
        let of = Arc::clone(&snapshot);
        let body =
            tokio::task::spawn_blocking(move || encode(&snapshot, content, security)).await??;
        *slot = Some((of, body.clone()));
        Ok(body)
    }
}

fn encode(
    snapshot: &Arc<Snapshot>,
    content: Content,
    security: SecurityFigures,
) -> Result<Bytes, RenderError> {
    Ok(match content {
        Content::Metrics(format) => {
            let own = OwnProcess {
                security,
                ..OwnProcess::read()
            };
            export::render(snapshot, own, format)?.into()
        }
        Content::Processes => serde_json::to_vec(&json::processes(snapshot))?.into(),
    })
}
