//! A bound on open connections that starves nobody: whoever comes is let in, and
//! where there are too many, the stranger goes who has asked nothing for longest.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lru::LruCache;
use tokio::sync::Notify;

use crate::adapter::telemetry::Telemetry;

/// Every open connection.
pub(super) struct Places {
    inner: Mutex<Inner>,
    telemetry: Arc<Telemetry>,
}

type Connections = LruCache<u64, Arc<Notify>>;

struct Inner {
    next: u64,
    /// Anybody, also while shaking hands; whoever asked last, last.
    strangers: Connections,
    /// Front proxies, whom strangers cannot crowd out.
    proxies: Connections,
}

/// One connection's place, given back when it is dropped.
pub(super) struct Place {
    id: u64,
    lost: Arc<Notify>,
    places: Arc<Places>,
}

impl Places {
    pub(super) fn new(
        strangers: NonZeroUsize,
        proxies: NonZeroUsize,
        telemetry: Arc<Telemetry>,
    ) -> Arc<Self> {
        let inner = Inner {
            next: 0,
            strangers: LruCache::new(strangers),
            proxies: LruCache::new(proxies),
        };
        Arc::new(Self {
            inner: Mutex::new(inner),
            telemetry,
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for who has just come, if need be that of another.
    pub(super) fn take(self: &Arc<Self>) -> Place {
        let lost = Arc::new(Notify::new());
        let mut inner = self.inner();
        inner.next += 1;
        let id = inner.next;
        let other = inner.strangers.push(id, Arc::clone(&lost));
        self.end(other);
        self.telemetry.connected();
        Place {
            id,
            lost,
            places: Arc::clone(self),
        }
    }

    fn end(&self, other: Option<(u64, Arc<Notify>)>) {
        if let Some((_, lost)) = other {
            lost.notify_one();
            self.telemetry.crowded_out();
        }
    }
}

impl Place {
    /// A request came, from a proxy or not. The question is put of strangers only.
    pub(super) fn used(&self, is_proxy: impl FnOnce() -> bool) {
        let is_stranger = {
            let mut inner = self.places.inner();
            // Whoever asks moves to the end of the line.
            inner.proxies.get(&self.id).is_none() && inner.strangers.get(&self.id).is_some()
        };
        if is_stranger && is_proxy() {
            let mut inner = self.places.inner();
            if let Some(lost) = inner.strangers.pop(&self.id) {
                let other = inner.proxies.push(self.id, lost);
                self.places.end(other);
            }
        }
    }

    /// Completes once the place is another's.
    pub(super) async fn lost(&self) {
        self.lost.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.places.inner();
        inner.strangers.pop(&self.id);
        inner.proxies.pop(&self.id);
        self.places.telemetry.disconnected();
    }
}
