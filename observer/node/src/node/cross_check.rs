//! Events and state of one process held against each other.

use std::sync::Arc;

use observer_ebpf::{GcFigures, GoroutineFigures};
use observer_go::runtime::StateFigures;

use super::{
    observation::{Differences, EventFigures},
    source_precedence::FORCED,
};

/// One reading of a process's counters in the kernel.
pub(super) type Counted = (GoroutineFigures, Option<Arc<GcFigures>>);

/// Goroutine ids that a P takes at once.
const BATCH: i64 = 16;

/// Goroutine ids as the runtime counts them, and 16 for each batch seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Ids {
    /// Never compared.
    #[default]
    Unknown,
    /// How far the two were apart once.
    Once(i64),
    /// How far they were apart when the probes were set.
    Since(i64),
}

impl Ids {
    /// Of a process whose batches were all seen.
    pub(super) const FROM_START: Self = Self::Since(0);

    /// Whether it is known how far they were apart at the beginning.
    pub(super) fn known(self) -> bool {
        matches!(self, Self::Since(_))
    }

    /// How far the two are apart now; `None` until it is known how far they
    /// were at the beginning. A batch whose hit is counted is not yet taken for
    /// some nanoseconds: two samples in a row must agree on the beginning.
    pub(super) fn compare(
        &mut self,
        before: &GoroutineFigures,
        state: &StateFigures,
        after: &GoroutineFigures,
    ) -> Option<i64> {
        let ids = i64::try_from(state.goroutines.ids?).ok()?;
        let counted = |counted: &GoroutineFigures| BATCH * counted.goid_refills as i64;
        let (low, high) = (counted(before), counted(after));
        if let Self::Since(base) = self {
            return Some(distance(*base + low, ids, *base + high));
        }
        if low == high {
            let base = ids - low;
            *self = match self {
                Self::Once(was) if *was == base => Self::Since(base),
                _ => Self::Once(base),
            };
        }
        matches!(self, Self::Since(_)).then_some(0)
    }
}

/// How far the state is from what probes had counted just before and just
/// after it was read: zero where it lies between the two.
///
/// Some things make a difference for one sample that is none: a goroutine whose
/// creation is under way, which one of the two has counted; a collection that
/// the runtime has counted while its last stop still goes on; and, up to Go
/// 1.25, goroutine ids that moved from the scheduler to a P between the reads
/// of the two. All are gone as soon as the process stands still for a sample.
pub(super) fn compare(
    events: &EventFigures,
    before: &Counted,
    state: &StateFigures,
    after: &Counted,
) -> Differences {
    let between = |low: u64, state: u64, high: u64| distance(low as i64, state as i64, high as i64);
    let cycles = |gc: &GcFigures| gc.completed.iter().sum();
    let pauses = |gc: &GcFigures| gc.pause_total_ns;
    let gc = |counted: &Counted, of: fn(&GcFigures) -> u64| counted.1.as_deref().map_or(0, of);
    let collections = &state.collections;
    Differences {
        created: state
            .goroutines
            .created
            .filter(|_| events.from_start)
            .map(|created| between(before.0.created, created, after.0.created)),
        ids: None,
        cycles: events
            .collections_from_start
            .then(|| between(gc(before, cycles), collections.cycles, gc(after, cycles))),
        pause_total_ns: events.collections_from_start.then(|| {
            between(
                gc(before, pauses),
                collections.pause_total_ns,
                gc(after, pauses),
            )
        }),
    }
}

/// Whether probes have measured the pauses of every collection that they counted.
pub(super) fn measured_all(counted: &Counted) -> bool {
    let gc = counted.1.as_deref();
    gc.is_none_or(|gc| gc.whole_cycles == gc.completed.iter().sum::<u64>())
}

fn distance(before: i64, state: i64, after: i64) -> i64 {
    if state < before {
        state - before
    } else {
        (state - after).max(0)
    }
}

/// The totals of a process that has ended: its last sample, and what probes
/// counted from `then` on, when it was taken; of goroutines only where each was
/// `counted` since.
pub(super) fn last(
    state: &mut StateFigures,
    (goroutines_then, gc_then): &Counted,
    end: &EventFigures,
    counted: bool,
) {
    let total =
        |gc: &Option<Arc<GcFigures>>, of: fn(&GcFigures) -> u64| gc.as_deref().map_or(0, of);
    let since = |of: fn(&GcFigures) -> u64| total(&end.gc, of).saturating_sub(total(gc_then, of));
    let goroutines = &mut state.goroutines;
    if let (Some(created), true) = (&mut goroutines.created, counted) {
        *created += end
            .goroutines
            .created
            .saturating_sub(goroutines_then.created);
        if end.from_start {
            *created = end.goroutines.created.max(*created);
        }
    }
    if let (Some(exited), true) = (&mut goroutines.exited, counted) {
        *exited += (end.goroutines.exited).saturating_sub(goroutines_then.exited);
        // What ended between the sample and the counters read after it is in neither.
        if end.from_start {
            *exited = end.goroutines.exited.max(*exited);
        }
    }
    let collections = &mut state.collections;
    collections.cycles += since(|gc| gc.completed.iter().sum());
    collections.forced += since(|gc| gc.completed[FORCED]);
    collections.pause_total_ns += since(|gc| gc.pause_total_ns);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(created: u64) -> Counted {
        let goroutines = GoroutineFigures {
            created,
            ..GoroutineFigures::ZERO
        };
        (goroutines, None)
    }

    fn state(created: u64) -> StateFigures {
        let mut state = StateFigures::default();
        state.goroutines.created = Some(created);
        state
    }

    fn events(created: u64, from_start: bool) -> EventFigures {
        EventFigures {
            from_start,
            collections_from_start: true,
            goroutines: counted(created).0,
            ..EventFigures::default()
        }
    }

    #[test]
    fn between_the_two_readings_is_no_difference() {
        let compare = |from_start, low, state: &StateFigures, high| {
            compare(&events(0, from_start), &counted(low), state, &counted(high))
        };
        for (created, difference) in [(9, -1), (10, 0), (12, 0), (15, 0), (18, 3)] {
            let found = compare(true, 10, &state(created), 15);
            assert_eq!(found.created, Some(difference));
        }
        let unknown = compare(true, 1, &StateFigures::default(), 1);
        assert_eq!((unknown.created, unknown.cycles), (None, Some(0)));
        let later = compare(false, 1, &state(1), 1);
        assert_eq!((later.created, later.cycles), (None, Some(0)));
    }

    #[test]
    fn batches_are_compared_from_where_they_stood_still() {
        let batches = |n| {
            let mut counted = counted(0).0;
            counted.goid_refills = n;
            counted
        };
        let ids = |n| {
            let mut state = StateFigures::default();
            state.goroutines.ids = Some(n);
            state
        };
        let mut later = Ids::default();
        for (low, found, high, difference) in [
            // One was under way.
            (3, 1_000, 3, None),
            (3, 1_016, 3, None),
            (4, 1_048, 5, None),
            (5, 1_048, 5, Some(0)),
            (6, 1_080, 8, Some(0)),
            (8, 1_080, 8, Some(-16)),
            (8, 1_112, 8, Some(16)),
            (8, 1_096, 8, Some(0)),
        ] {
            let seen = later.compare(&batches(low), &ids(found), &batches(high));
            assert_eq!(seen, difference, "{found}");
        }
        let mut whole = Ids::FROM_START;
        assert_eq!(whole.compare(&batches(2), &ids(32), &batches(2)), Some(0));
        assert_eq!(whole.compare(&batches(2), &ids(48), &batches(2)), Some(16));
        let unknown = StateFigures::default();
        assert_eq!(whole.compare(&batches(2), &unknown, &batches(2)), None);
    }

    #[test]
    fn the_last_totals_have_what_came_after_the_sample() {
        let mut figures = state(1000);
        last(&mut figures, &counted(5), &events(25, false), true);
        assert_eq!(figures.goroutines.created, Some(1020));
        last(&mut figures, &counted(25), &events(35, false), false);
        assert_eq!(figures.goroutines.created, Some(1020));
        let mut figures = state(1000);
        figures.goroutines.exited = Some(990);
        let ended = |created, exited| {
            let mut events = events(created, true);
            events.goroutines.exited = exited;
            events
        };
        let mut then = counted(1001);
        then.0.exited = 992;
        last(&mut figures, &then, &ended(1010, 1004), true);
        assert_eq!(figures.goroutines.created, Some(1010));
        assert_eq!(figures.goroutines.exited, Some(1004));
    }
}
