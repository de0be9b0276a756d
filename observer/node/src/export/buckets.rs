//! The buckets of client_golang's histograms of Go's runtime.

use std::sync::LazyLock;

use observer_ebpf::{TIME_HISTOGRAM_BUCKETS, TimeHistogram};

/// Buckets after reduction, the last (`+Inf`) included.
pub(super) const REDUCED: usize = 8;

/// How the runtime's buckets map to the reduced ones.
struct Reduction {
    /// Upper bounds as `le` says them; the last is infinite.
    upper: [f64; REDUCED],
    /// For each of the runtime's buckets, the reduced one.
    target: [usize; TIME_HISTOGRAM_BUCKETS],
}

static REDUCTION: LazyLock<Reduction> = LazyLock::new(reduction);

/// The upper bounds, `+Inf` last.
pub(super) fn upper_bounds() -> &'static [f64; REDUCED] {
    &REDUCTION.upper
}

/// Durations in client_golang's buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reduced {
    /// Durations by bucket, not cumulative.
    pub(super) counts: [u64; REDUCED],
    /// Their exact sum. client_golang can only estimate one, from lower bounds.
    pub(super) sum_ns: u64,
}

impl Reduced {
    /// Adds what a histogram counted.
    pub(super) fn add(&mut self, histogram: &TimeHistogram) {
        for (count, &target) in histogram.counts.iter().zip(&REDUCTION.target) {
            self.counts[target] += u64::from(*count);
        }
        self.counts[REDUCED - 1] += histogram.overflow;
        self.sum_ns = self.sum_ns.saturating_add(histogram.sum_ns);
    }
}

impl Reduced {
    /// Adds what another counted.
    pub(super) fn join(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
    }

    /// Adds one of the runtime's own histograms. Its bounds are finer than the
    /// reduced ones and meet each of them, so every bucket falls into one. The
    /// runtime keeps no sum: what is added is the least it can be.
    pub(super) fn add_runtime(&mut self, histogram: &observer_go::runtime::RuntimeHistogram) {
        let mut target = 0;
        let mut sum = 0.0;
        for (count, &lower) in histogram.counts().zip(histogram.bounds) {
            while target + 1 < REDUCED && lower > REDUCTION.upper[target] {
                target += 1;
            }
            self.counts[target] = self.counts[target].saturating_add(count);
            sum += count as f64 * lower.max(0.0);
        }
        self.sum_ns = self.sum_ns.saturating_add((sum * 1e9) as u64);
    }
}

/// `timeHistogramMetricsBuckets` (runtime/histogram.go), then client_golang's
/// `RuntimeMetricsBucketsForUnit` for seconds: of the boundaries keep each that
/// is at least ten times the one kept before, and none above one second.
fn reduction() -> Reduction {
    let seconds = |index| TimeHistogram::lower_bound_ns(index) as f64 / 1e9;
    let mut kept = Vec::with_capacity(REDUCED);
    let mut bucket = seconds(0);
    for next in (1..=TIME_HISTOGRAM_BUCKETS)
        .map(seconds)
        .chain([f64::INFINITY])
    {
        if next < bucket * 10.0 {
            continue;
        }
        kept.push(bucket);
        bucket = next;
    }
    kept.retain(|&bound| bound <= 1.0);

    // The runtime's upper bounds are exclusive, `le` is inclusive: client_golang
    // says the next smaller number, and so must we for the series to be the same.
    let mut upper = [f64::INFINITY; REDUCED];
    for (upper, bound) in upper.iter_mut().zip(kept.iter().skip(1)) {
        *upper = bound.next_down();
    }
    let target = std::array::from_fn(|index| {
        let below = kept
            .iter()
            .filter(|&&bound| bound <= seconds(index))
            .count();
        below.saturating_sub(1).min(REDUCED - 1)
    });
    Reduction { upper, target }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_are_those_client_golang_exports() {
        // To the bit: dashboards name these bounds as text.
        let bits = |bounds: &[f64]| bounds.iter().map(|it| it.to_bits()).collect::<Vec<_>>();
        assert_eq!(
            bits(upper_bounds()),
            bits(&[
                6.399999999999999e-08,
                6.399999999999999e-07,
                7.167999999999999e-06,
                8.191999999999999e-05,
                0.0009175039999999999,
                0.010485759999999998,
                0.11744051199999998,
                f64::INFINITY,
            ])
        );
    }

    #[test]
    fn each_duration_lands_where_its_nanoseconds_say() {
        for ns in (0..70).chain([
            511,
            639,
            640,
            7167,
            7168,
            81_919,
            81_920,
            117_440_511,
            117_440_512,
            1 << 40,
        ]) {
            let mut histogram = TimeHistogram {
                counts: [0; TIME_HISTOGRAM_BUCKETS],
                overflow: 0,
                sum_ns: ns,
            };
            match TimeHistogram::bucket(ns) {
                Some(bucket) => histogram.counts[bucket] = 1,
                None => histogram.overflow = 1,
            }
            let mut reduced = Reduced::default();
            reduced.add(&histogram);
            let expected = upper_bounds()
                .iter()
                .position(|&le| ns as f64 / 1e9 <= le)
                .unwrap();
            assert_eq!(reduced.counts[expected], 1, "{ns} ns: {:?}", reduced.counts);
            assert_eq!(reduced.sum_ns, ns);
        }
    }
}
