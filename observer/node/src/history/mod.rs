//! The last minutes of every container, in memory, for people who look: a ring
//! of points and a ring of stops for each row of the page's table.
//!
//! Filled from the published snapshots, so that nothing here can hold up the
//! engine. The memory is bounded by [`bounds`]: some 25 kB for a
//! row, 14 MB however many rows there are.

mod attention;
mod bounds;
mod change;
pub mod columns;
mod percentiles;
mod row;
mod row_history;
mod row_process;
mod series;
mod stops;
mod store;
mod view;
mod why;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{broadcast, watch};

use self::{
    change::Change,
    store::Store,
    view::{View, ViewChange},
};
pub use self::{
    row::{About, LiveFigures, ProcessRef, Row, RowTable},
    why::{Attention, Why},
};
use crate::{
    liveness::Liveness,
    node::{Snapshot, Snapshots},
};

/// Changes that a client may be behind before it gets the whole table again.
const BEHIND: usize = 8;

/// The history of a node.
#[derive(Debug)]
pub(crate) struct History {
    store: Mutex<Store>,
    changes: broadcast::Sender<Arc<ChangeText>>,
    /// Number of the last snapshot taken in.
    taken: watch::Sender<u64>,
}

/// A [`Change`] as JSON, made once for all who listen.
#[derive(Debug)]
pub(crate) struct ChangeText {
    /// The number of the table that it leads to.
    pub sequence: u64,
    /// The change.
    pub text: String,
}

/// Stands for the number of a snapshot where none will come any more.
pub(crate) const ENDED: u64 = u64::MAX;

impl History {
    /// Takes in every snapshot from now on, until nobody holds the history.
    /// Must be called where a runtime is.
    pub(crate) fn follow(snapshots: Snapshots, liveness: &Liveness) -> Arc<Self> {
        let history = Arc::new(Self::new());
        let (weak, pulse) = (Arc::downgrade(&history), liveness.part("history"));
        tokio::spawn(async move {
            let _pulse = pulse;
            fill(weak, snapshots).await;
        });
        history
    }

    fn new() -> Self {
        Self {
            store: Mutex::new(Store::default()),
            changes: broadcast::channel(BEHIND).0,
            taken: watch::channel(0).0,
        }
    }

    /// The table as it is now; `None` before the first snapshot.
    pub(crate) fn table(&self) -> Option<Arc<RowTable>> {
        let mut store = self.store();
        (store.sequence() > 0).then(|| store.table())
    }

    /// Every change of the table from now on. Ask for the [`Self::table`]
    /// afterwards, and leave out the changes that it has in it.
    pub(crate) fn changes(&self) -> broadcast::Receiver<Arc<ChangeText>> {
        self.changes.subscribe()
    }

    /// One row with its past; `None` where there is no such row now.
    pub(crate) fn view(&self, id: &str) -> Option<View> {
        self.store().view(id)
    }

    /// What is new of a row since the points and stops of these numbers.
    pub(crate) fn view_change(&self, id: &str, points: u64, stops: u64) -> Option<ViewChange> {
        self.store().view_change(id, points, stops)
    }

    /// Tells of each snapshot that was taken in, after its change; [`ENDED`]
    /// when nobody observes any more.
    pub(crate) fn taken(&self) -> watch::Receiver<u64> {
        self.taken.subscribe()
    }

    fn take(&self, snapshot: &Arc<Snapshot>) {
        let mut store = self.store();
        // Nobody looks: only the rings are filled.
        let before = (self.changes.receiver_count() > 0).then(|| store.table());
        store.take(snapshot);
        let sequence = store.sequence();
        let change = before.map(|before| Change::between(&before, &store.table()));
        drop(store);
        if let Some(change) = change {
            match serde_json::to_string(&change) {
                // Whoever listened may just have left.
                Ok(text) => drop(self.changes.send(Arc::new(ChangeText { sequence, text }))),
                Err(error) => {
                    tracing::error!(%error, "failed to encode a change of the table as JSON");
                }
            }
        }
        self.taken.send_replace(sequence);
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        // What a panic left half done are figures, which the next snapshot sets right.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn fill(this: Weak<History>, mut snapshots: Snapshots) {
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        let Some(history) = this.upgrade() else {
            return;
        };
        if let Some(snapshot) = snapshot {
            history.take(&snapshot);
        }
        drop(history);
        if snapshots.changed().await.is_err() {
            if let Some(history) = this.upgrade() {
                history.taken.send_replace(ENDED);
            }
            return;
        }
    }
}
