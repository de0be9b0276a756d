//! Points in time, and rings of them.

use std::collections::VecDeque;

use serde::Serialize;

/// One moment of a row; a figure that is not known is NaN.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    /// Milliseconds since the epoch.
    pub(super) at_ms: f64,
    pub(super) goroutines: f32,
    pub(super) runnable: f32,
    pub(super) running: f32,
    pub(super) waiting: f32,
    pub(super) not_in_go: f32,
    pub(super) created: f32,
    pub(super) exited: f32,
    pub(super) stopped: f32,
    pub(super) heap: f32,
    pub(super) next_gc: f32,
    pub(super) latency: f32,
    pub(super) threads: f32,
}

/// A number, or none.
pub(super) fn number(value: Option<f64>) -> f32 {
    value.map_or(f32::NAN, |value| value as f32)
}

/// The last of something, and how many there ever were.
#[derive(Debug)]
pub(super) struct Ring<T> {
    items: VecDeque<T>,
    pushed: u64,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self {
            items: VecDeque::new(),
            pushed: 0,
        }
    }
}

/// Room is made in steps of this: doubling would waste up to half.
const STEP: usize = 30;

impl<T> Ring<T> {
    /// Adds one; beyond `most` the oldest go.
    pub(super) fn push(&mut self, item: T, most: usize) {
        while self.items.len() >= most.max(1) {
            self.items.pop_front();
        }
        if self.items.len() == self.items.capacity() {
            self.items.reserve_exact(STEP);
        }
        self.items.push_back(item);
        self.pushed += 1;
    }

    /// How many there ever were: the number of the next.
    pub(super) const fn pushed(&self) -> u64 {
        self.pushed
    }

    /// Those from number `from` on that are still there, oldest first.
    pub(super) fn since(&self, from: u64) -> impl Iterator<Item = &T> {
        let first = self.pushed - self.items.len() as u64;
        let skip = from.saturating_sub(first) as usize;
        self.items.range(skip.min(self.items.len())..)
    }

    /// All that are still there, oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.items.iter()
    }
}

/// Points by figure, as charts want them; `null` where it is not known.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Series {
    #[serde(rename = "at")]
    at_ms: Vec<f64>,
    goroutines: Vec<Option<f32>>,
    runnable: Vec<Option<f32>>,
    running: Vec<Option<f32>>,
    waiting: Vec<Option<f32>>,
    not_in_go: Vec<Option<f32>>,
    created_per_second: Vec<Option<f32>>,
    exited_per_second: Vec<Option<f32>>,
    stopped_share: Vec<Option<f32>>,
    heap_bytes: Vec<Option<f32>>,
    next_gc_bytes: Vec<Option<f32>>,
    latency_p99_ns: Vec<Option<f32>>,
    threads: Vec<Option<f32>>,
}

impl<'a> FromIterator<&'a Point> for Series {
    fn from_iter<I: IntoIterator<Item = &'a Point>>(points: I) -> Self {
        let known = |value: f32| (!value.is_nan()).then_some(value);
        let mut series = Self::default();
        for point in points {
            series.at_ms.push(point.at_ms);
            series.goroutines.push(known(point.goroutines));
            series.runnable.push(known(point.runnable));
            series.running.push(known(point.running));
            series.waiting.push(known(point.waiting));
            series.not_in_go.push(known(point.not_in_go));
            series.created_per_second.push(known(point.created));
            series.exited_per_second.push(known(point.exited));
            series.stopped_share.push(known(point.stopped));
            series.heap_bytes.push(known(point.heap));
            series.next_gc_bytes.push(known(point.next_gc));
            series.latency_p99_ns.push(known(point.latency));
            series.threads.push(known(point.threads));
        }
        series
    }
}
