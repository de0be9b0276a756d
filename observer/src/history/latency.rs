//! Percentiles of what histograms counted between two looks.

use std::sync::Arc;

use crate::runtime::TimeHistogram;

/// Of what was counted since `before`, the upper bound of the bucket that the
/// 99th percentile lies in, in nanoseconds; `None` where nothing was.
pub(super) fn p99_since(now: &TimeHistogram, before: Option<&Arc<[u64]>>) -> Option<u64> {
    let before = match before {
        Some(before) if Arc::ptr_eq(before, &now.counts) => return None,
        Some(before) if before.len() == now.counts.len() => Some(&**before),
        _ => None,
    };
    let since = |at: usize| {
        let earlier = before.map_or(0, |before| before[at]);
        now.counts[at].saturating_sub(earlier)
    };
    let total: u64 = (0..now.counts.len()).map(since).sum();
    if total == 0 {
        return None;
    }
    let rank = (total * 99).div_ceil(100);
    let mut sum = 0;
    for at in 0..now.counts.len() {
        sum += since(at);
        if sum >= rank {
            let (from, to) = (now.bounds.get(at), now.bounds.get(at + 1));
            let bound = to.filter(|to| to.is_finite()).or(from)?;
            return Some((bound.max(0.0) * 1e9).round() as u64);
        }
    }
    None
}

/// The 99th percentile of durations.
pub(super) fn p99(mut durations: Vec<u64>) -> Option<u64> {
    durations.sort_unstable();
    let rank = (durations.len() * 99).div_ceil(100);
    durations.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{TimeHistogram, p99, p99_since};

    static BOUNDS: [f64; 4] = [f64::NEG_INFINITY, 0.0, 1e-6, f64::INFINITY];

    #[test]
    fn percentiles_are_of_what_came_since() {
        let before: Arc<[u64]> = [0, 5, 100].into();
        let now = TimeHistogram {
            bounds: &BOUNDS,
            counts: [0, 105, 100].into(),
        };
        assert_eq!(p99_since(&now, Some(&before)), Some(1000));
        let all = p99_since(&now, None);
        assert_eq!(all, Some(1000), "an open bucket has only a lower bound");
        assert_eq!(p99_since(&now, Some(&now.counts)), None);
        assert_eq!(p99(vec![]), None);
        assert_eq!(p99(vec![3]), Some(3));
        assert_eq!(p99((1..=200).rev().collect()), Some(198));
    }
}
