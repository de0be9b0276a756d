//! `/api/v1/processes/{pid}/goroutines`: a walk over one process's goroutines,
//! for whoever asks, one at a time.

use std::sync::{Arc, atomic::Ordering};

use axum::{
    extract::{Path, State},
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use observer_go::{
    binary::FigureGroup,
    discover::{self, DiscoverError},
    runtime::{self, HeldUp, MemoryError, StateError, WalkError, WalkLimits},
};

use super::{node::ServerState, plain::plain};
use crate::node::Observation;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(
        "process {0} is no Go process that lives and is observed; /api/v1/processes lists them"
    )]
    Unknown(u32),
    #[error("process {0} is left alone: {1}")]
    LeftAlone(u32, String),
    #[error("process {0} runs another program by now")]
    Replaced(u32),
    #[error(transparent)]
    Walk(#[from] WalkError),
    #[error(transparent)]
    HeldUp(#[from] HeldUp),
    #[error("the answer cannot be encoded: {0}")]
    Json(#[from] serde_json::Error),
}

impl Refused {
    const fn status(&self) -> StatusCode {
        match self {
            Self::Unknown(_)
            | Self::Replaced(_)
            | Self::Walk(WalkError::State(
                StateError::Replaced(_) | StateError::Memory(MemoryError::Gone { .. }),
            )) => StatusCode::NOT_FOUND,
            Self::LeftAlone(..) => StatusCode::FORBIDDEN,
            Self::Json(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Walk(_) | Self::HeldUp(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

pub(super) async fn goroutines(
    State(node): State<Arc<ServerState>>,
    Path(pid): Path<u32>,
) -> Response {
    let snapshot = match node.snapshot() {
        Ok(snapshot) => snapshot,
        Err(reason) => return plain(StatusCode::SERVICE_UNAVAILABLE, reason),
    };
    let observation = snapshot
        .processes
        .iter()
        .find(|process| process.process.pid == pid && process.ended.is_none())
        .cloned();
    let Some(observation) = observation else {
        return refuse(&Refused::Unknown(pid));
    };
    if observation.is_left_alone() {
        let missing = observation.coverage.0.get(&FigureGroup::State);
        let why = missing.and_then(Option::as_ref).map(|it| it.detail.clone());
        return refuse(&Refused::LeftAlone(pid, why.unwrap_or_default()));
    }
    if node.walking.swap(true, Ordering::Acquire) {
        let text = "another walk over goroutines is under way; try again\n";
        return plain(StatusCode::TOO_MANY_REQUESTS, text);
    }
    // Released where the walk ends, not where the client leaves.
    let done = Walking(Arc::clone(&node));
    let walked = tokio::task::spawn_blocking(move || {
        let _done = done;
        runtime::apart(pid, move || walk(&observation))?
    });
    match walked.await {
        Ok(Ok(body)) => {
            let headers = [
                (CONTENT_TYPE, "application/json"),
                (CACHE_CONTROL, "no-store"),
            ];
            (headers, body).into_response()
        }
        Ok(Err(refused)) => refuse(&refused),
        Err(error) => {
            tracing::error!(%error, pid, "the walk over a process's goroutines failed");
            let text = "the walk did not finish; see the log\n";
            plain(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }
}

fn refuse(refused: &Refused) -> Response {
    plain(refused.status(), format!("{refused}\n"))
}

fn walk(observation: &Observation) -> Result<Vec<u8>, Refused> {
    let (pid, known) = (observation.process.pid, observation.process.executable.id);
    let refused = |error: DiscoverError| match error {
        DiscoverError::Replaced(pid) => Refused::Replaced(pid),
        _ => Refused::Unknown(pid),
    };
    let file = discover::open_known(pid, known).map_err(refused)?;
    let walked = runtime::walk(pid, &file, &observation.binary, WalkLimits::default());
    // Its memory was read by its id. Also why it failed is another's then.
    discover::runs(pid, known).map_err(refused)?;
    Ok(serde_json::to_vec(&walked?)?)
}

/// The one walk under way.
struct Walking(Arc<ServerState>);

impl Drop for Walking {
    fn drop(&mut self) {
        self.0.walking.store(false, Ordering::Release);
    }
}
