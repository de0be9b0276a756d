//! The runtime's `timeHistogram` and the bounds of its buckets.

use std::sync::OnceLock;

use serde::Serialize;

use super::{layout::Histogram, memory::word};

/// A histogram of durations as `runtime/metrics` shows it: `counts[i]` counts
/// what lay in `bounds[i]..bounds[i + 1]`, in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TimeHistogram {
    /// One more than there are counts; the first is -Inf, the last +Inf.
    #[serde(skip)]
    pub bounds: &'static [f64],
    /// Per bucket, not cumulative.
    pub counts: Vec<u64>,
}

impl TimeHistogram {
    pub(super) fn read(layout: &Histogram, bytes: &[u8]) -> Self {
        let mut counts = vec![layout.underflow.of(bytes)];
        counts.extend(
            (layout.counts.offset..layout.counts.end())
                .step_by(8)
                .map(|offset| word(bytes, offset)),
        );
        let bounds = match layout.overflow {
            Some(overflow) => {
                counts.push(overflow.of(bytes));
                narrow()
            }
            None => wide(),
        };
        Self { bounds, counts }
    }

    /// How many durations were recorded.
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, n| sum.wrapping_add(*n))
    }

    /// Whether no bucket has less than in `earlier`.
    pub(super) fn follows(&self, earlier: &Self) -> bool {
        self.counts.len() == earlier.counts.len()
            && self
                .counts
                .iter()
                .zip(&earlier.counts)
                .all(|(now, then)| now >= then)
    }
}

/// Nanoseconds as the float that Go's `float64(ns) / 1e9` gives.
fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// Go 1.17 to 1.19: 45 powers of two of 16 parts each, from 1 ns on.
fn wide() -> &'static [f64] {
    static BOUNDS: OnceLock<Vec<f64>> = OnceLock::new();
    BOUNDS.get_or_init(|| {
        let mut bounds = vec![f64::NEG_INFINITY];
        bounds.extend((0..16).map(seconds));
        for power in 0..44 {
            bounds.extend((0..16).map(|part| seconds((1 << (power + 4)) | (part << power))));
        }
        bounds.push(f64::INFINITY);
        bounds
    })
}

/// Go 1.20 and later: 40 powers of two of 4 parts each, from 64 ns on.
fn narrow() -> &'static [f64] {
    static BOUNDS: OnceLock<Vec<f64>> = OnceLock::new();
    BOUNDS.get_or_init(|| {
        let mut bounds = vec![f64::NEG_INFINITY];
        bounds.extend((0..4).map(|part| seconds(part << 6)));
        for power in 9..48 {
            bounds.extend((0..4).map(|part| seconds((1 << (power - 1)) | (part << (power - 3)))));
        }
        bounds.push(seconds(1 << 47));
        bounds.push(f64::INFINITY);
        bounds
    })
}

#[cfg(test)]
mod tests {
    use super::{narrow, wide};

    #[test]
    fn bounds_are_as_many_as_the_counts_need_and_rise() {
        assert_eq!(wide().len(), 45 * 16 + 2);
        assert_eq!(narrow().len(), 40 * 4 + 3);
        for bounds in [wide(), narrow()] {
            assert!(bounds.windows(2).all(|two| two[0] < two[1]));
        }
    }
}
