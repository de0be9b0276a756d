//! Counters that never fall.
//!
//! What was published stays published. A sample that turns out to have been wrong, or a
//! reader that begins anew, may leave the next one below it; whoever follows a counter
//! would take that for a restart of the program and count all of it again. So the
//! counter stands still until the program has come past what was published.

use std::sync::Arc;

use super::{StateFigures, TimeHistogram};

/// The figures, no counter below those that were published before.
pub fn not_below(now: Arc<StateFigures>, before: &StateFigures) -> Arc<StateFigures> {
    let fell = counters(&now)
        .into_iter()
        .zip(counters(before))
        .any(|(now, then)| now.zip(then).is_some_and(|(now, then)| now < then));
    let fell = fell
        || histograms(&now)
            .into_iter()
            .zip(histograms(before))
            .any(|(now, then)| now.zip(then).is_some_and(|(now, then)| !now.follows(then)));
    if !fell {
        return now;
    }
    let mut raised = StateFigures::clone(&now);
    raise(&mut raised, before);
    Arc::new(raised)
}

fn counters(of: &StateFigures) -> [Option<u64>; 9] {
    let allocation = of.allocation.as_ref();
    [
        of.goroutines.created,
        of.goroutines.exited,
        of.scheduler.mutex_wait_ns,
        allocation.map(|it| it.total_bytes),
        allocation.map(|it| it.mallocs),
        allocation.map(|it| it.frees),
        Some(of.collections.cycles),
        Some(of.collections.forced),
        Some(of.collections.pause_total_ns),
    ]
}

fn histograms(of: &StateFigures) -> [Option<&TimeHistogram>; 6] {
    let stops = &of.stops;
    [
        Some(&of.scheduler.latencies),
        of.collections.pauses.as_ref(),
        stops.gc_stopping.as_ref(),
        stops.gc_total.as_ref(),
        stops.other_stopping.as_ref(),
        stops.other_total.as_ref(),
    ]
}

fn raise(now: &mut StateFigures, then: &StateFigures) {
    let most = |now: &mut u64, then: u64| *now = (*now).max(then);
    for (now, then) in [
        (&mut now.goroutines.created, then.goroutines.created),
        (&mut now.goroutines.exited, then.goroutines.exited),
        (
            &mut now.scheduler.mutex_wait_ns,
            then.scheduler.mutex_wait_ns,
        ),
    ] {
        if let (Some(now), Some(then)) = (now, then) {
            most(now, then);
        }
    }
    if let (Some(now), Some(then)) = (&mut now.allocation, &then.allocation) {
        most(&mut now.total_bytes, then.total_bytes);
        most(&mut now.mallocs, then.mallocs);
        most(&mut now.frees, then.frees);
    }
    let (collections, earlier) = (&mut now.collections, &then.collections);
    most(&mut collections.cycles, earlier.cycles);
    most(&mut collections.forced, earlier.forced);
    most(&mut collections.pause_total_ns, earlier.pause_total_ns);
    let latencies = &mut now.scheduler.latencies;
    *latencies = latencies.not_below(&then.scheduler.latencies);
    let (stops, before) = (&mut now.stops, &then.stops);
    for (now, then) in [
        (&mut collections.pauses, &earlier.pauses),
        (&mut stops.gc_stopping, &before.gc_stopping),
        (&mut stops.gc_total, &before.gc_total),
        (&mut stops.other_stopping, &before.other_stopping),
        (&mut stops.other_total, &before.other_total),
    ] {
        if let (Some(now), Some(then)) = (now, then) {
            *now = now.not_below(then);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::not_below;
    use crate::runtime::{StateFigures, TimeHistogram};

    const BOUNDS: &[f64] = &[f64::NEG_INFINITY, 0.0, 1.0, f64::INFINITY];

    fn figures(created: u64, cycles: u64, latencies: &[u64]) -> StateFigures {
        let mut figures = StateFigures::default();
        figures.goroutines.created = Some(created);
        figures.collections.cycles = cycles;
        figures.scheduler.latencies = TimeHistogram::new(BOUNDS, latencies);
        figures
    }

    #[test]
    fn what_was_published_is_not_taken_back() {
        let before = figures(100, 7, &[0, 5, 1]);
        let mut now = figures(90, 8, &[1, 3, 2]);
        now.goroutines.live = 4;
        let shown = not_below(Arc::new(now), &before);
        assert_eq!(shown.goroutines.created, Some(100));
        assert_eq!(shown.collections.cycles, 8);
        assert_eq!(shown.goroutines.live, 4, "it is no counter");
        let counts: Vec<u64> = shown.scheduler.latencies.counts().collect();
        assert_eq!(counts, [1, 5, 2]);
    }

    #[test]
    fn what_only_grew_is_left_as_it_is() {
        let before = figures(100, 7, &[0, 5, 1]);
        let now = Arc::new(figures(101, 7, &[0, 5, 1]));
        let shown = not_below(Arc::clone(&now), &before);
        assert!(Arc::ptr_eq(&shown, &now));
    }
}
