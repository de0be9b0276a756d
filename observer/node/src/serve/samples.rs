//! What autoscaling needs of every snapshot, asked or not.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{liveness::Liveness, node::Snapshots, scaling::Recorder};

/// What rates are taken over: one sync period of the HorizontalPodAutoscaler.
const WINDOW: Duration = Duration::from_secs(15);

/// Remembers of every snapshot what rates are made of, asked or not.
pub(super) struct Pods(Mutex<Recorder>);

impl Pods {
    /// Records until the snapshots end or nobody asks any more.
    pub(super) fn record(mut snapshots: Snapshots, liveness: &Liveness) -> Arc<Self> {
        let pods = Arc::new(Self(Mutex::new(Recorder::new(WINDOW))));
        let recording = Arc::downgrade(&pods);
        let pulse = liveness.part("recorder");
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

    pub(super) fn recorder(&self) -> MutexGuard<'_, Recorder> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
