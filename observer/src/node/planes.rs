//! Events and state of one process held against each other.

use observer_ebpf::{GcFigures, GoroutineFigures};

use super::{
    best::FORCED,
    observation::{Differences, EventFigures},
};
use crate::runtime::StateFigures;

/// One reading of a process's counters in the kernel.
pub(super) type Counted = (GoroutineFigures, Option<Box<GcFigures>>);

/// How far the state is from what probes had counted just before and just
/// after it was read: zero where it lies between the two.
///
/// Some things make a difference for one sample that is none: a goroutine whose
/// creation is under way, which one of the two has counted; a collection that
/// the runtime has counted while its last stop still goes on; and, up to Go
/// 1.25, goroutine ids that moved from the scheduler to a P between the reads
/// of the two. All are gone as soon as the process stands still for a sample.
pub(super) fn compare(before: &Counted, state: &StateFigures, after: &Counted) -> Differences {
    let cycles = |gc: &GcFigures| gc.completed.iter().sum();
    let pauses = |gc: &GcFigures| gc.pause_total_ns;
    let gc = |counted: &Counted, of: fn(&GcFigures) -> u64| counted.1.as_deref().map_or(0, of);
    let collections = &state.collections;
    Differences {
        created: state
            .goroutines
            .created
            .map(|created| distance(before.0.created, created, after.0.created)),
        cycles: Some(distance(
            gc(before, cycles),
            collections.cycles,
            gc(after, cycles),
        )),
        pause_total_ns: Some(distance(
            gc(before, pauses),
            collections.pause_total_ns,
            gc(after, pauses),
        )),
    }
}

fn distance(before: u64, state: u64, after: u64) -> i64 {
    if state < before {
        -i64::try_from(before - state).unwrap_or(i64::MAX)
    } else {
        i64::try_from(state.saturating_sub(after)).unwrap_or(i64::MAX)
    }
}

/// The totals of a process that has ended: its last sample, and what probes
/// counted after it.
pub(super) fn last(state: &mut StateFigures, then: &EventFigures, end: &EventFigures) {
    let total =
        |gc: &Option<Box<GcFigures>>, of: fn(&GcFigures) -> u64| gc.as_deref().map_or(0, of);
    let since = |of: fn(&GcFigures) -> u64| total(&end.gc, of).saturating_sub(total(&then.gc, of));
    let goroutines = &mut state.goroutines;
    if let Some(created) = &mut goroutines.created {
        *created += end
            .goroutines
            .created
            .saturating_sub(then.goroutines.created);
        if end.from_start {
            *created = end.goroutines.created.max(*created);
        }
    }
    if let Some(exited) = &mut goroutines.exited {
        *exited += end.goroutines.exited.saturating_sub(then.goroutines.exited);
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

    #[test]
    fn between_the_two_readings_is_no_difference() {
        for (created, difference) in [(9, -1), (10, 0), (12, 0), (15, 0), (18, 3)] {
            let found = compare(&counted(10), &state(created), &counted(15));
            assert_eq!(found.created, Some(difference));
        }
        let unknown = compare(&counted(1), &StateFigures::default(), &counted(1));
        assert_eq!(unknown.created, None);
        assert_eq!(unknown.cycles, Some(0));
    }

    #[test]
    fn the_last_totals_have_what_came_after_the_sample() {
        let events = |created, from_start| EventFigures {
            from_start,
            goroutines: counted(created).0,
            gc: None,
        };
        let mut figures = state(1000);
        last(&mut figures, &events(5, false), &events(25, false));
        assert_eq!(figures.goroutines.created, Some(1020));
        let mut figures = state(1000);
        last(&mut figures, &events(1001, true), &events(1010, true));
        assert_eq!(figures.goroutines.created, Some(1010));
    }
}
