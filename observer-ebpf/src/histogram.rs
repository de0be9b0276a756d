//! The runtime's `timeHistogram`, as of Go 1.20 (runtime/histogram.go): 512 ns
//! to about 2^47 ns, four linear sub-buckets to each power of two.

/// `timeHistNumBuckets` * `timeHistNumSubBuckets`.
pub const TIME_HISTOGRAM_BUCKETS: usize = 160;

const MIN_BUCKET_BITS: u32 = 9;
const SUB_BUCKET_BITS: u32 = 2;
const MAX_BUCKET_BITS: u32 = 48;

/// Counts of durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct TimeHistogram {
    /// Durations by bucket; see [`Self::bucket`].
    pub counts: [u32; TIME_HISTOGRAM_BUCKETS],
    /// Durations of 2^48 ns and more.
    pub overflow: u64,
    /// Sum of all durations, which the runtime's own does not keep.
    pub sum_ns: u64,
}

impl TimeHistogram {
    /// No duration yet.
    pub const ZERO: Self = Self {
        counts: [0; TIME_HISTOGRAM_BUCKETS],
        overflow: 0,
        sum_ns: 0,
    };

    /// Which bucket a duration falls in; `None` is overflow. The same
    /// arithmetic as `(*timeHistogram).record`.
    #[inline(always)]
    pub const fn bucket(ns: u64) -> Option<usize> {
        let len = u64::BITS - ns.leading_zeros();
        let (bucket_bits, bucket) = if len < MIN_BUCKET_BITS {
            (MIN_BUCKET_BITS, 0)
        } else {
            (len, len - MIN_BUCKET_BITS + 1)
        };
        if bucket > MAX_BUCKET_BITS - MIN_BUCKET_BITS {
            return None;
        }
        let sub = (ns >> (bucket_bits - 1 - SUB_BUCKET_BITS)) % (1 << SUB_BUCKET_BITS);
        Some(((bucket << SUB_BUCKET_BITS) as u64 + sub) as usize)
    }

    /// The lower bound, in nanoseconds, of a bucket, as
    /// `timeHistogramMetricsBuckets` computes it; for
    /// [`TIME_HISTOGRAM_BUCKETS`] the upper bound of the last.
    pub const fn lower_bound_ns(index: usize) -> u64 {
        let bucket = (index >> SUB_BUCKET_BITS) as u32;
        let sub = (index as u64) & ((1 << SUB_BUCKET_BITS) - 1);
        if bucket == 0 {
            return sub << (MIN_BUCKET_BITS - 1 - SUB_BUCKET_BITS);
        }
        let bit = bucket + MIN_BUCKET_BITS - 2;
        1 << bit | sub << (bit - SUB_BUCKET_BITS)
    }
}

#[cfg(any(test, feature = "user"))]
impl TimeHistogram {
    /// Adds the durations of another.
    pub fn add(&mut self, more: &Self) {
        for (into, more) in self.counts.iter_mut().zip(&more.counts) {
            *into = into.saturating_add(*more);
        }
        self.overflow = self.overflow.saturating_add(more.overflow);
        self.sum_ns = self.sum_ns.saturating_add(more.sum_ns);
    }
}
