//! What a program really did, and what the map must hold of it.

use crate::{
    Abi, GC_TRIGGERS, GcCycleFigures, GcFigures, STOPS_KEPT, STW_REASONS, StopFigures, StopRecord,
    StwReason, TIME_HISTOGRAM_BUCKETS, TimeHistogram,
};

pub(super) const NOT_SEEN: usize = GC_TRIGGERS - 1;
pub(super) const UNKNOWN: u32 = StwReason::Unknown as u32;

/// What a stop ends as.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    SweepTermination,
    /// A mark termination that ends in more marking.
    Restart,
    MarkTermination,
    Other,
}

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
    pub(super) started: [u64; GC_TRIGGERS],
    pub(super) completed: [u64; GC_TRIGGERS],
    pauses: u64,
    mark: u64,
    pub(super) whole: u64,
    last: GcCycleFigures,
    /// The last cycle that ended, and how often the probes had left before, where
    /// they stood at its beginning.
    pub(super) ended: (GcCycleFigures, Option<u64>),
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
    pub(super) fn figures(&self, abi: Abi) -> GcFigures {
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
