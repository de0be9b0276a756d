//! `/api/v1/events`: what changes, as server-sent events. Without a question
//! the table: `table` once, then a `change` at each sample. With `?id=` one
//! row: `view` once, then `change`; `gone` when there is no such row now.

use std::{convert::Infallible, future, sync::Arc, time::Duration};

use axum::{
    extract::{Extension, Query, State},
    http::StatusCode,
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};

use super::{node::ServerState, plain::plain};
use crate::{
    auth::Right,
    history::{ChangeText, ENDED, History},
    listen::ConnectionSlot,
};

/// Listeners at a time: each holds one of the connections there are.
pub(super) const LISTENERS: usize = 32;
/// Well below the time after which a silent connection is closed.
const ALIVE: Duration = Duration::from_secs(15);

/// What to listen to.
#[derive(Debug, Deserialize)]
pub(super) struct Question {
    /// One row by its id, instead of the table.
    id: Option<String>,
}

pub(super) async fn events(
    State(node): State<Arc<ServerState>>,
    Query(question): Query<Question>,
    right: Option<Extension<Right>>,
    connection: Option<Extension<Arc<ConnectionSlot>>>,
) -> Response {
    if let Err(reason) = node.snapshot() {
        return plain(StatusCode::SERVICE_UNAVAILABLE, reason);
    }
    let Ok(place) = Arc::clone(&node.listeners).try_acquire_owned() else {
        return plain(
            StatusCode::TOO_MANY_REQUESTS,
            format!("{LISTENERS} others listen already; try again later\n"),
        );
    };
    // Who listens asks nothing more, and is no stranger for that.
    if let Some(Extension(connection)) = connection {
        connection.keep();
    }
    let listener = Listener::new(&node.history, question.id, place);
    let events = stream::unfold(listener, |mut listener| async {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    let events = events.take_until(ended(right));
    let alive = KeepAlive::new().interval(ALIVE);
    Sse::new(events).keep_alive(alive).into_response()
}

/// Completes once who listens has no right to it any more.
async fn ended(right: Option<Extension<Right>>) {
    match right {
        Some(Extension(right)) => {
            let refusal = right.ended().await;
            tracing::debug!(?refusal, "a listener's right to events has ended");
        }
        // Everybody has.
        None => future::pending().await,
    }
}

/// One who listens.
struct Listener {
    history: Arc<History>,
    taken: watch::Receiver<u64>,
    subject: Subject,
    _place: OwnedSemaphorePermit,
}

enum Subject {
    Table {
        changes: broadcast::Receiver<Arc<ChangeText>>,
        /// Number of the table that the listener has; `None` for none.
        has: Option<u64>,
    },
    Row {
        id: String,
        /// Numbers of the next point and the next stop; `None` where the
        /// listener has nothing, or was told that there is nothing.
        next: Option<(u64, u64)>,
        told: bool,
    },
}

impl Listener {
    fn new(history: &Arc<History>, id: Option<String>, place: OwnedSemaphorePermit) -> Self {
        let mut taken = history.taken();
        // What is there already is news too.
        taken.mark_changed();
        Self {
            history: Arc::clone(history),
            taken,
            subject: match id {
                None => Subject::Table {
                    changes: history.changes(),
                    has: None,
                },
                Some(id) => Subject::Row {
                    id,
                    next: None,
                    told: false,
                },
            },
            _place: place,
        }
    }

    /// The next event; `None` when nobody observes any more.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.pending() {
                return Some(event);
            }
            self.taken.changed().await.ok()?;
            if *self.taken.borrow_and_update() == ENDED {
                return None;
            }
            if let Some(event) = self.news() {
                return Some(event);
            }
        }
    }

    /// A change that came while the last one was sent.
    fn pending(&mut self) -> Option<Event> {
        match &mut self.subject {
            Subject::Table { changes, has } => (*has)
                .and_then(|number| change(changes, number))
                .and_then(|found| self.sent(found)),
            Subject::Row { .. } => None,
        }
    }

    fn news(&mut self) -> Option<Event> {
        if let Subject::Table { changes, has } = &mut self.subject {
            let found = match *has {
                None => Some(Found::Behind),
                Some(number) => change(changes, number),
            };
            return found.and_then(|found| self.sent(found));
        }
        self.row()
    }

    fn sent(&mut self, found: Found) -> Option<Event> {
        let Subject::Table { has, .. } = &mut self.subject else {
            return None;
        };
        match found {
            Found::Change(change) => {
                *has = Some(change.sequence);
                Some(Event::default().event("change").data(&change.text))
            }
            Found::Behind => {
                let table = self.history.table()?;
                *has = Some(table.sequence);
                json("table", &*table)
            }
        }
    }

    fn row(&mut self) -> Option<Event> {
        let Subject::Row { id, next, told } = &mut self.subject else {
            return None;
        };
        let (points, stops) = next.unwrap_or_default();
        let event = match *next {
            None => self.history.view(id).map(|view| {
                let numbers = (view.change.points, view.change.stops_next);
                (numbers, json("view", view))
            }),
            Some(_) => self.history.view_change(id, points, stops).map(|change| {
                let numbers = (change.points, change.stops_next);
                (numbers, json("change", change))
            }),
        };
        if let Some((numbers, event)) = event {
            *next = Some(numbers);
            *told = false;
            return event;
        }
        *next = None;
        let tell = !std::mem::replace(told, true);
        tell.then(|| Event::default().event("gone").data("{}"))
    }
}

enum Found {
    Change(Arc<ChangeText>),
    /// The listener was too slow, or has nothing yet.
    Behind,
}

/// The next change behind table `has`.
fn change(changes: &mut broadcast::Receiver<Arc<ChangeText>>, has: u64) -> Option<Found> {
    loop {
        match changes.try_recv() {
            Ok(change) if change.sequence <= has => {}
            Ok(change) => return Some(Found::Change(change)),
            Err(broadcast::error::TryRecvError::Lagged(_)) => return Some(Found::Behind),
            Err(_) => return None,
        }
    }
}

fn json(name: &str, value: impl serde::Serialize) -> Option<Event> {
    match Event::default().event(name).json_data(value) {
        Ok(event) => Some(event),
        Err(error) => {
            tracing::error!(%error, name, "failed to encode a server-sent event");
            None
        }
    }
}
