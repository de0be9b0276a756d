//! One body per snapshot and coding, however many clients ask for it and however
//! slowly they read: this is what bounds the memory of answers.

use std::sync::Arc;

use axum::body::Bytes;
use tokio::sync::Mutex;

use super::{
    content_coding::{ContentCoding, WORTHWHILE_BYTES},
    json,
};
use crate::{
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
    #[error("the body cannot be compressed: {0}")]
    Coding(#[from] std::io::Error),
    #[error("encoding did not finish: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// The bodies of one kind for one snapshot.
struct Made {
    of: Arc<Snapshot>,
    plain: Bytes,
    /// By [`ContentCoding`], as far as somebody asked for it.
    packed: [Option<Bytes>; ContentCoding::ALL.len()],
}

/// The last body of each kind.
#[derive(Default)]
pub(super) struct BodyCache {
    slots: [Mutex<Option<Made>>; 3],
}

impl BodyCache {
    /// The body for this snapshot, made once, and how it is coded: as asked, where that
    /// is worth it.
    pub(super) async fn get(
        &self,
        snapshot: Arc<Snapshot>,
        content: Content,
        coding: Option<ContentCoding>,
        own: impl FnOnce() -> OwnProcess + Send + 'static,
    ) -> Result<(Bytes, Option<ContentCoding>), RenderError> {
        // Held while encoding, so that a crowd of clients costs one encoding.
        let mut slot = self.slots[content.slot()].lock().await;
        let made = match slot.take() {
            Some(made) if Arc::ptr_eq(&made.of, &snapshot) => made,
            // The old one goes before there is a new one.
            old => {
                drop(old);
                let of = Arc::clone(&snapshot);
                let encoding = move || encode(&snapshot, content, own);
                let plain = tokio::task::spawn_blocking(encoding).await??;
                let packed = [const { None }; ContentCoding::ALL.len()];
                Made { of, plain, packed }
            }
        };
        let made = slot.insert(made);
        let coding = coding.filter(|_| made.plain.len() >= WORTHWHILE_BYTES);
        let Some(coding) = coding else {
            return Ok((made.plain.clone(), None));
        };
        let packed = &mut made.packed[coding as usize];
        if let Some(packed) = packed {
            return Ok((packed.clone(), Some(coding)));
        }
        let plain = made.plain.clone();
        let packing = move || coding.pack(&plain);
        let body = Bytes::from(tokio::task::spawn_blocking(packing).await??);
        Ok((packed.insert(body).clone(), Some(coding)))
    }
}

fn encode(
    snapshot: &Arc<Snapshot>,
    content: Content,
    own: impl FnOnce() -> OwnProcess,
) -> Result<Bytes, RenderError> {
    Ok(match content {
        Content::Metrics(format) => export::render(snapshot, own(), format)?.into(),
        Content::Processes => serde_json::to_vec(&json::processes(snapshot))?.into(),
    })
}
