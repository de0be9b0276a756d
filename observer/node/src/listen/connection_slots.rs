//! A bound on open connections that starves nobody: whoever comes is let in, and
//! where there are too many, the stranger goes who has asked nothing for longest.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use lru::LruCache;
use tokio::sync::Notify;

/// How many connections there are, and how many there were too many.
#[derive(Debug, Default)]
pub struct ConnectionCounters {
    open: AtomicU64,
    crowded_out: AtomicU64,
}

/// A [`ConnectionCounters`] at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionFigures {
    /// Connections that are open.
    pub open: u64,
    /// Connections closed to let others in.
    pub crowded_out: u64,
}

impl ConnectionCounters {
    /// The counts now.
    pub fn read(&self) -> ConnectionFigures {
        ConnectionFigures {
            open: self.open.load(Ordering::Relaxed),
            crowded_out: self.crowded_out.load(Ordering::Relaxed),
        }
    }
}

/// Every open connection.
pub(super) struct ConnectionSlots {
    inner: Mutex<Inner>,
    crowd: Arc<ConnectionCounters>,
}

type Connections = LruCache<u64, Arc<Notify>>;

struct Inner {
    next: u64,
    /// Anybody, also while shaking hands; whoever asked last, last.
    strangers: Connections,
    /// Those whom strangers cannot crowd out.
    known: Connections,
}

/// One connection's place, given back when it is dropped. Handlers find it among
/// a request's extensions.
pub(crate) struct ConnectionSlot {
    id: u64,
    lost: Arc<Notify>,
    places: Arc<ConnectionSlots>,
}

impl ConnectionSlots {
    pub(super) fn new(
        strangers: NonZeroUsize,
        known: NonZeroUsize,
        crowd: Arc<ConnectionCounters>,
    ) -> Arc<Self> {
        let inner = Inner {
            next: 0,
            strangers: LruCache::new(strangers),
            known: LruCache::new(known),
        };
        Arc::new(Self {
            inner: Mutex::new(inner),
            crowd,
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for who has just come, if need be that of another.
    pub(super) fn take(self: &Arc<Self>) -> ConnectionSlot {
        let lost = Arc::new(Notify::new());
        let mut inner = self.inner();
        inner.next += 1;
        let id = inner.next;
        let other = inner.strangers.push(id, Arc::clone(&lost));
        self.end(other);
        self.crowd.open.fetch_add(1, Ordering::Relaxed);
        ConnectionSlot {
            id,
            lost,
            places: Arc::clone(self),
        }
    }

    /// Takes a stranger's place where there is nothing left to make one of, such as
    /// file descriptors. Whether there was a stranger.
    pub(super) fn make_room(&self) -> bool {
        let other = self.inner().strangers.pop_lru();
        let found = other.is_some();
        self.end(other);
        found
    }

    fn end(&self, other: Option<(u64, Arc<Notify>)>) {
        if let Some((_, lost)) = other {
            lost.notify_one();
            self.crowd.crowded_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl ConnectionSlot {
    /// A request came, from somebody known or not. The question is put of strangers
    /// only.
    pub(super) fn used(&self, is_known: impl FnOnce() -> bool) {
        let is_stranger = {
            let mut inner = self.places.inner();
            // Whoever asks moves to the end of the line.
            inner.known.get(&self.id).is_none() && inner.strangers.get(&self.id).is_some()
        };
        if is_stranger && is_known() {
            self.keep();
        }
    }

    /// Strangers do not take it from now on: it is known who is there.
    pub(crate) fn keep(&self) {
        let mut inner = self.places.inner();
        if let Some(lost) = inner.strangers.pop(&self.id) {
            let other = inner.known.push(self.id, lost);
            self.places.end(other);
        }
    }

    /// Completes once the place is another's.
    pub(super) async fn lost(&self) {
        self.lost.notified().await;
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut inner = self.places.inner();
        inner.strangers.pop(&self.id);
        inner.known.pop(&self.id);
        self.places.crowd.open.fetch_sub(1, Ordering::Relaxed);
    }
}
