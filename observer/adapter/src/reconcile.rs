//! Something in the cluster that is kept in order: looked at again and again,
//! sooner where that failed.

use std::{fmt::Display, time::Duration};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use observer_node::kube::rest;
use tokio::sync::Notify;

/// How often it is looked at.
const PERIOD: Duration = Duration::from_secs(10);

/// When to look next, and what was said.
pub(super) struct ReconcileLoop {
    complaint: &'static str,
    wait: ExponentialBackoff,
    last: String,
}

impl ReconcileLoop {
    /// Complains in these words, of each error once.
    pub(super) fn new(complaint: &'static str) -> Self {
        Self {
            complaint,
            wait: waits(),
            last: String::new(),
        }
    }

    /// Rests until it is time to look again.
    pub(super) async fn rest(&mut self, done: Result<(), impl Display>, answered: &Notify) {
        match done {
            Ok(()) => {
                self.wait = waits();
                self.last.clear();
                tokio::time::sleep(PERIOD).await;
            }
            Err(error) => {
                let error = error.to_string();
                if error != self.last {
                    tracing::warn!(error, "{}", self.complaint);
                }
                self.last = error;
                let pause = self.wait.next().unwrap_or(PERIOD);
                rest(pause, answered).await;
            }
        }
    }
}

fn waits() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_secs(1))
        .with_max_delay(PERIOD)
        .with_jitter()
        .without_max_times()
        .build()
}
