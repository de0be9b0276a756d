//! The waits between tries of a watch.

use std::{sync::Arc, time::Duration};

use backon::{Backoff, BackoffBuilder, ExponentialBuilder};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// A second, doubled each time, and up to as much again by chance, so that
/// nodes do not come back as one. At most 300 s.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(150);
/// Once the server has answered another question, such as who a caller is, it
/// is back, and the wait ends. No earlier than this: it may refuse the watch
/// and answer all else.
const SHORTENED: Duration = Duration::from_secs(2);

/// The waits between tries of a watch: longer after each failure in a row, and
/// no longer than until the API server has answered somebody.
pub struct WatchBackoff {
    answered: Arc<Notify>,
    next: Box<dyn Backoff>,
}

impl WatchBackoff {
    /// None yet. `answered` tells when the server has answered somebody.
    pub fn new(answered: Arc<Notify>) -> Self {
        Self {
            answered,
            next: anew(),
        }
    }

    /// The watch goes well: the next wait is a short one.
    pub fn over(&mut self) {
        self.next = anew();
    }

    /// How long to wait after one more failure.
    pub fn after_failure(&mut self) -> Duration {
        self.next.next().unwrap_or(LONGEST)
    }

    /// Waits for so long, or until the server has answered somebody: then it
    /// may refuse a few more until it has started.
    pub async fn rest(&mut self, pause: Duration) {
        if rest(pause, &self.answered).await {
            self.over();
        }
    }
}

fn anew() -> Box<dyn Backoff> {
    let waits = ExponentialBuilder::default()
        .with_min_delay(FIRST)
        .with_max_delay(LONGEST)
        .with_jitter()
        .without_max_times();
    Box::new(waits.build())
}

/// Waits for so long, or until the server has answered somebody; whether it has.
pub async fn rest(pause: Duration, answered: &Notify) -> bool {
    let begin = Instant::now();
    sleep_until(begin + pause.min(SHORTENED)).await;
    tokio::select! {
        () = sleep_until(begin + pause) => false,
        () = answered.notified() => true,
    }
}
