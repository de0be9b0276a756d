//! Percentiles of what histograms counted between two looks.

use observer_go::runtime::RuntimeHistogram;

/// Of what was counted since `before`, the upper bound of the bucket that the
/// 99th percentile lies in, in nanoseconds; `None` where nothing was.
pub(super) fn p99_since(now: &RuntimeHistogram, before: Option<&RuntimeHistogram>) -> Option<u64> {
    if before.is_some_and(|before| before.is_shared(now)) {
        return None;
    }
    let before = before.filter(|before| before.bounds.len() == now.bounds.len());
    let since = now.since(before);
    let total: u64 = since.clone().map(|(_, count)| count).sum();
    if total == 0 {
        return None;
    }
    let rank = (total * 99).div_ceil(100);
    let mut sum = 0;
    for (at, count) in since {
        sum += count;
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
    use super::{RuntimeHistogram, p99, p99_since};

    static BOUNDS: [f64; 4] = [f64::NEG_INFINITY, 0.0, 1e-6, f64::INFINITY];

    #[test]
    fn percentiles_are_of_what_came_since() {
        let before = RuntimeHistogram::new(&BOUNDS, &[0, 5, 100]);
        let now = RuntimeHistogram::new(&BOUNDS, &[0, 105, 100]);
        assert_eq!(p99_since(&now, Some(&before)), Some(1000));
        let all = p99_since(&now, None);
        assert_eq!(all, Some(1000), "an open bucket has only a lower bound");
        assert_eq!(p99_since(&now, Some(&now)), None);
        assert_eq!(p99(vec![]), None);
        assert_eq!(p99(vec![3]), Some(3));
        assert_eq!(p99((1..=200).rev().collect()), Some(198));
    }
}
