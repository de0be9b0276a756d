//! What a program really did, and whether the figures say the same.

use super::go::{End, Go};
use crate::{
    Abi, GC_TRIGGERS, GcCycleFigures, GcFigures, STOPS_KEPT, STW_REASONS, StopFigures, StopRecord,
    StwReason, TIME_HISTOGRAM_BUCKETS, TimeHistogram,
};

const NOT_SEEN: usize = GC_TRIGGERS - 1;
const UNKNOWN: u32 = StwReason::Unknown as u32;

/// A cycle that runs.
struct Cycle {
    trigger: usize,
    /// How often the probes had left when it began, where they stood then.
    left: Option<u64>,
    /// When the world last began to run.
    runs_since: u64,
    figures: GcCycleFigures,
}

/// What a program did.
#[derive(Default)]
pub(super) struct Truth {
    cycle: Option<Cycle>,
    started: [u64; GC_TRIGGERS],
    completed: [u64; GC_TRIGGERS],
    pauses: u64,
    mark: u64,
    whole: u64,
    last: GcCycleFigures,
    /// The last cycle that ended, and how often the probes had left before, where
    /// they stood at its beginning.
    ended: (GcCycleFigures, Option<u64>),
    pub(super) stops: Vec<StopRecord>,
    /// When the world was asked to stop, and when it ran again. Of some stops
    /// neither is the pause's beginning or end.
    pub(super) instants: Vec<u64>,
    /// How long each of them took to stop.
    stopping: Vec<u64>,
    pub(super) hits: u64,
}

impl Truth {
    pub(super) fn is_collecting(&self) -> bool {
        self.cycle.is_some()
    }

    pub(super) fn begins(&mut self, trigger: u64, left: Option<u64>) {
        let trigger = NOT_SEEN.min(trigger as usize);
        self.started[trigger] += 1;
        self.cycle = Some(Cycle {
            trigger,
            left,
            runs_since: 0,
            figures: GcCycleFigures::ZERO,
        });
    }

    pub(super) fn ended(&mut self, reason: u32, (began, end): (u64, u64), stopping: u64, how: End) {
        let pause = end - began;
        self.stops.push(StopRecord {
            began,
            pause_ns: pause,
            reason: if reason < STW_REASONS as u32 {
                reason
            } else {
                UNKNOWN
            },
            trigger: self.cycle.as_ref().map_or(NOT_SEEN, |it| it.trigger) as u16,
            ends_cycle: u16::from(how == End::MarkTermination),
        });
        self.stopping.push(stopping);
        let Some(cycle) = self.cycle.as_mut().filter(|_| how != End::Other) else {
            return;
        };
        if how == End::SweepTermination {
            cycle.figures.began = began;
            cycle.figures.sweep_termination_ns = pause;
            cycle.figures.mark_began = end;
        } else {
            cycle.figures.mark_ns += began - cycle.runs_since;
            cycle.figures.mark_termination_ns += pause;
        }
        cycle.runs_since = end;
        if how == End::MarkTermination {
            self.completed[cycle.trigger] += 1;
            self.whole += 1;
            self.pauses += cycle.figures.pause_ns();
            self.mark += cycle.figures.mark_ns;
            self.last = cycle.figures;
            self.ended = (cycle.figures, cycle.left);
            self.cycle = None;
        }
    }

    /// What the map must hold of it.
    fn figures(&self, abi: Abi) -> GcFigures {
        let mut figures = GcFigures {
            started: self.started,
            completed: self.completed,
            pause_total_ns: self.pauses,
            mark_ns: self.mark,
            whole_cycles: self.whole,
            last: self.last,
            hits: self.hits,
            stops_recorded: self.stops.len() as u64,
            ..GcFigures::ZERO
        };
        for (number, (stop, stopping)) in self.stops.iter().zip(&self.stopping).enumerate() {
            figures.recent_stops[number % STOPS_KEPT] = *stop;
            let is_gc = matches!(stop.reason, 1 | 2);
            let (total, stops) = if is_gc {
                (&mut figures.total_gc, &mut figures.stopping_gc)
            } else {
                (&mut figures.total_other, &mut figures.stopping_other)
            };
            let of_reason: &mut StopFigures = &mut figures.stops[stop.reason as usize];
            of_reason.count += 1;
            of_reason.total_ns += stop.pause_ns;
            add(total, stop.pause_ns);
            if matches!(abi, Abi::WorldStopStart | Abi::WorldStopFinished) {
                of_reason.stopping_ns += stopping;
                add(stops, *stopping);
            }
        }
        figures
    }
}

/// By the bounds of the buckets, which the programs do not use.
fn add(histogram: &mut TimeHistogram, ns: u64) {
    let bounds = 0..TIME_HISTOGRAM_BUCKETS;
    let bucket = bounds
        .rev()
        .find(|it| TimeHistogram::lower_bound_ns(*it) <= ns);
    histogram.counts[bucket.expect("the first begins at 0")] += 1;
    histogram.sum_ns += ns;
}

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
