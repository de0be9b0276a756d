//! Durations in buckets that every release of Go shares, so that histograms of
//! different programs can be merged without an estimate.

use std::collections::BTreeMap;

use observer_go::runtime::RuntimeHistogram;
use serde::{Deserialize, Serialize};

/// Where the runtime's buckets begin to widen.
const FINEST: u64 = 64;
/// Buckets of one power of two, as a shift: four, as Go has since 1.20. Older
/// releases have sixteen, of which each falls into one of these.
const PARTS: u32 = 2;

/// Durations by bucket: the bucket's lower bound in nanoseconds, and how many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histogram(pub BTreeMap<u64, u64>);

impl Histogram {
    /// Adds what a histogram of the runtime counted after `earlier`.
    pub(super) fn add(&mut self, now: &RuntimeHistogram, earlier: &RuntimeHistogram) {
        if now.is_shared(earlier) {
            return;
        }
        let mut before = earlier.counts();
        for (count, lower) in now.counts().zip(now.bounds) {
            let before = before.next().unwrap_or_default();
            let more = count.saturating_sub(before);
            if more > 0 {
                let lower = (lower.max(0.0) * 1e9).round() as u64;
                *self.0.entry(lower_bound(lower)).or_default() += more;
            }
        }
    }

    /// Adds what another counted.
    pub fn merge(&mut self, other: &Self) {
        for (&lower, &count) in &other.0 {
            let sum = self.0.entry(lower_bound(lower)).or_default();
            *sum = sum.saturating_add(count);
        }
    }

    /// The quantile in seconds: of durations taken as evenly spread within a
    /// bucket. Where nothing was counted nothing took any time.
    pub fn quantile(&self, q: f64) -> f64 {
        let total: u64 = self.0.values().fold(0, |sum, n| sum.saturating_add(*n));
        if total == 0 {
            return 0.0;
        }
        let rank = q * total as f64;
        let mut below = 0.0;
        for (&lower, &count) in &self.0 {
            let count = count as f64;
            if below + count >= rank {
                let part = ((rank - below) / count).clamp(0.0, 1.0);
                let (lower, upper) = (lower as f64, upper_bound(lower) as f64);
                return (lower + part * (upper - lower)) / 1e9;
            }
            below += count;
        }
        self.0
            .keys()
            .next_back()
            .map_or(0.0, |lower| *lower as f64 / 1e9)
    }
}

/// The lower bound of the bucket that a duration lies in.
const fn lower_bound(ns: u64) -> u64 {
    if ns < FINEST {
        return 0;
    }
    ns & !((1 << shift(ns)) - 1)
}

/// The upper bound of the bucket that begins at `lower`.
const fn upper_bound(lower: u64) -> u64 {
    if lower < FINEST {
        return FINEST;
    }
    lower.saturating_add(1 << shift(lower))
}

/// How wide the bucket is, as a power of two. Below 256 ns each is 64 ns wide.
const fn shift(ns: u64) -> u32 {
    let power = ns.ilog2();
    let width = power.saturating_sub(PARTS);
    if width < 6 { 6 } else { width }
}
