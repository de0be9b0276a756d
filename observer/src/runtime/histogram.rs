//! The runtime's `timeHistogram` and the bounds of its buckets.

use std::sync::{Arc, OnceLock};

use serde::Serialize;

use super::{layout::Histogram, memory::words};

/// A histogram of durations as `runtime/metrics` shows it: `counts[i]` counts
/// what lay in `bounds[i]..bounds[i + 1]`, in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TimeHistogram {
    /// One more than there are counts; the first is -Inf, the last +Inf.
    #[serde(skip)]
    pub bounds: &'static [f64],
    /// Per bucket, not cumulative.
    pub counts: Arc<[u64]>,
}

impl TimeHistogram {
    /// Shares the counts of the last sample where they have not changed: most
    /// of a process's histograms stand still from one second to the next.
    pub(super) fn read(layout: &Histogram, bytes: &[u8], before: Option<&Self>) -> Self {
        let between = bytes
            .get(layout.counts.offset..layout.counts.end())
            .unwrap_or(&[]);
        let counts = || {
            [layout.underflow.of(bytes)]
                .into_iter()
                .chain(words(between))
                .chain(layout.overflow.map(|overflow| overflow.of(bytes)))
        };
        let before = before.filter(|before| counts().eq(before.counts.iter().copied()));
        Self {
            bounds: if layout.overflow.is_some() {
                narrow()
            } else {
                wide()
            },
            counts: before.map_or_else(|| counts().collect(), |same| Arc::clone(&same.counts)),
        }
    }

    /// How many durations were recorded.
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, n| sum.wrapping_add(*n))
    }

    /// Whether no bucket has less than in `earlier`.
    pub(super) fn follows(&self, earlier: &Self) -> bool {
        Arc::ptr_eq(&self.counts, &earlier.counts)
            || self.counts.len() == earlier.counts.len()
                && self
                    .counts
                    .iter()
                    .zip(earlier.counts.iter())
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
    use std::sync::Arc;

    use super::{TimeHistogram, narrow, wide};
    use crate::runtime::layout::{Field, Histogram};

    #[test]
    fn counts_that_stand_still_are_shared_and_others_are_new() {
        let layout = Histogram {
            counts: Field {
                offset: 0,
                size: 24,
            },
            underflow: Field {
                offset: 24,
                size: 8,
            },
            overflow: Some(Field {
                offset: 32,
                size: 8,
            }),
        };
        let bytes: Vec<u8> = [1u64, 2, 3, 4, 5]
            .into_iter()
            .flat_map(u64::to_le_bytes)
            .collect();
        let first = TimeHistogram::read(&layout, &bytes, None);
        assert_eq!(*first.counts, [4, 1, 2, 3, 5]);
        let same = TimeHistogram::read(&layout, &bytes, Some(&first));
        assert!(Arc::ptr_eq(&same.counts, &first.counts));
        for place in (0..5).map(|word| 8 * word) {
            let mut later = bytes.clone();
            later[place] += 1;
            let now = TimeHistogram::read(&layout, &later, Some(&first));
            assert_eq!(now.count(), first.count() + 1);
            assert!(now.follows(&first) && !first.follows(&now));
        }
    }

    #[test]
    fn bounds_are_as_many_as_the_counts_need_and_rise() {
        assert_eq!(wide().len(), 45 * 16 + 2);
        assert_eq!(narrow().len(), 40 * 4 + 3);
        for bounds in [wide(), narrow()] {
            assert!(bounds.windows(2).all(|two| two[0] < two[1]));
        }
    }
}
