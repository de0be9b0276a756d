//! What is under way, and when what is to be done next.

use std::time::{Duration, Instant};

/// A program that begins takes some milliseconds until it can be sampled.
const SOON: Duration = Duration::from_millis(8);
/// How often it is tried.
const TRIES: u32 = 5;

/// When what is to be done next.
pub(super) struct Schedule {
    pub(super) began: Instant,
    pub(super) next_sample: Instant,
    pub(super) next_sweep: Instant,
    pub(super) next_account: Instant,
    /// Nothing has been published yet.
    pub(super) first: bool,
}

/// One sample of every process.
#[derive(Default)]
pub(super) struct Round {
    pub(super) left: Vec<u32>,
    /// Those that run another program, where nobody else tells of an exec.
    pub(super) replaced: Vec<u32>,
}

/// Processes that began before the probes on every goroutine were back: read
/// at once, lest they end before the next sample.
#[derive(Clone, Copy, Debug)]
pub(super) struct Newcomers {
    pub(super) due: Instant,
    tries: u32,
}

impl Newcomers {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            due: now + SOON,
            tries: TRIES,
        }
    }

    /// The next try; `None` after the last.
    pub(super) fn again(self, now: Instant) -> Option<Self> {
        let tries = self.tries - 1;
        (tries > 0).then_some(Self {
            tries,
            ..Self::new(now)
        })
    }
}
