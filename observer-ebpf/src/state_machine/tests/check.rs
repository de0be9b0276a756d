//! Whether the figures say what a program really did.

use super::{
    go::Go,
    truth::{End, NOT_SEEN, Truth, UNKNOWN},
};
use crate::{Abi, GC_TRIGGERS, GcFigures, STOPS_KEPT, StopRecord};

impl Go<'_> {
    /// After each stop: what was recorded of it, where anything was, is true.
    pub(super) fn check_stop(&self, before: &GcFigures, end: End) {
        let figures = self.figures();
        let probes = *self.probes();
        let mut truth = self.truth();
        let recorded = before.stops_recorded;
        let is_blind = self.world.state().unreadable > 0;
        let has_gaps = probes.left > 0 || probes.loses > 0 || is_blind;
        if figures.stops_recorded == recorded {
            assert!(has_gaps, "a stop that was not recorded");
            return;
        }
        assert_eq!(
            figures.stops_recorded,
            recorded + 1,
            "one stop, recorded twice"
        );
        let found = figures.recent_stops[recorded as usize % STOPS_KEPT];
        if probes.loses > 0 {
            self.check_lossy(found, &truth);
            return;
        }
        let stop = truth.stops.last_mut().expect("this one");
        if self.abi == Abi::NoReason && end == End::Other && found.reason != stop.reason {
            // Several waited, for different reasons: none of them is told. What was
            // said while no probes stood is not known either.
            assert!(
                found.reason == UNKNOWN || probes.left > 0,
                "another's reason"
            );
            stop.reason = found.reason;
        }
        if probes.left > 0 && usize::from(found.trigger) == NOT_SEEN {
            stop.trigger = found.trigger;
        }
        assert_eq!(found, *stop);
        let (cycle, left) = truth.ended;
        if figures.whole_cycles > before.whole_cycles {
            assert_eq!(figures.last, cycle);
        } else if end == End::MarkTermination {
            assert!(
                is_blind || left != Some(probes.left),
                "a cycle that was not seen"
            );
        }
    }

    /// Where any hit may be lost, a pause may be that of several stops: from the
    /// beginning of one to the end of another.
    fn check_lossy(&self, found: StopRecord, truth: &Truth) {
        let is_known = |instant, of: fn(&StopRecord) -> u64| {
            truth.instants.contains(&instant) || truth.stops.iter().any(|it| of(it) == instant)
        };
        let begins = is_known(found.began, |it| it.began);
        let end = found.began.checked_add(found.pause_ns);
        let ends = end.is_some_and(|end| is_known(end, |it| it.began + it.pause_ns));
        assert!(begins && ends, "{found:?} is no stop of {:?}", self.abi);
    }

    /// That the figures are all true, and all of the truth.
    pub(super) fn check_all(&self) {
        let mut figures = self.figures();
        assert_eq!(figures.reasons_pending as u32, 0, "reasons of nobody");
        assert_eq!((figures.start_kind, figures.stopping_ns), (0, 0));
        figures.forget_unfinished();
        let truth = self.truth().figures(self.abi);
        assert_eq!(figures.stops, truth.stops);
        assert_eq!(
            (figures.started, figures.completed),
            (truth.started, truth.completed)
        );
        assert!(figures == truth, "{figures:?} is not {truth:?}");
    }

    /// That the figures are no more than the truth.
    pub(super) fn check_no_more(&self) {
        let figures = self.figures();
        let truth = self.truth();
        let all = |it: [u64; GC_TRIGGERS]| it.iter().sum::<u64>();
        assert_eq!(figures.hits, truth.hits);
        // Where probes leave between a cycle's beginning and its first stop's end, and
        // are back for that end, both tell of the cycle.
        let told_twice = self.probes().left;
        assert!(all(figures.started) <= all(truth.started) + told_twice);
        assert!(all(figures.completed) <= all(truth.completed));
        assert!(figures.whole_cycles <= truth.whole);
        assert!(figures.stops_recorded <= truth.stops.len() as u64);
        let count = |it: &GcFigures| it.stops.iter().map(|it| it.count).sum::<u64>();
        assert_eq!(count(&figures), figures.stops_recorded);
    }
}
