//! One process of a row, from one look to the next.

use std::sync::Arc;

use observer_go::{binary::FigureGroup, runtime::RuntimeHistogram};
use observer_probe::HitCost;

use super::{
    percentiles::p99_since,
    stops::{Stop, Taken},
};
use crate::node::{Observation, cost_ns};

/// What only grows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) created: Option<u64>,
    pub(super) exited: Option<u64>,
    pub(super) stopped_ns: Option<u64>,
    pub(super) cost_ns: f64,
}

impl Totals {
    fn of(observation: &Observation, price: HitCost) -> Self {
        Self {
            created: observation.created(),
            exited: observation.exited(),
            stopped_ns: stopped_ns(observation),
            cost_ns: cost_ns(&observation.binary.plan, price, &observation.figures.events),
        }
    }
}

/// How long the world stood still, for any reason where probes tell, else for the collector.
fn stopped_ns(observation: &Observation) -> Option<u64> {
    if observation.covers(FigureGroup::OtherStops) && observation.covers(FigureGroup::GcPauses) {
        let gc = observation.figures.events.gc.as_ref();
        let stops = gc.map_or(&[][..], |gc| &gc.stops[..]);
        return Some(stops.iter().map(|stops| stops.total_ns).sum());
    }
    observation.pauses().map(|(total, _)| total)
}

/// What a figure grew by; `None` where it is not known or began anew.
pub(super) fn growth(now: Option<u64>, before: Option<u64>) -> Option<u64> {
    now?.checked_sub(before?)
}

/// A process of a row.
#[derive(Debug)]
pub(super) struct RowProcess {
    pub(super) observation: Arc<Observation>,
    /// At the last look.
    pub(super) totals: Totals,
    /// At the last point.
    pub(super) at_point: Totals,
    latency_at_point: Option<RuntimeHistogram>,
    /// At the beginnings of this window and of the one before.
    latency_at_window: [Option<RuntimeHistogram>; 2],
    taken: Taken,
}

impl RowProcess {
    pub(super) fn new(observation: &Arc<Observation>, price: HitCost) -> Self {
        let totals = Totals::of(observation, price);
        let counts = latencies(observation);
        Self {
            observation: Arc::clone(observation),
            totals,
            at_point: totals,
            latency_at_point: counts.clone(),
            latency_at_window: [counts.clone(), counts],
            taken: Taken::default(),
        }
    }

    /// Takes in what is known now; the stops that are new, and how many were missed.
    pub(super) fn look(
        &mut self,
        observation: &Arc<Observation>,
        price: HitCost,
        epoch: std::time::Duration,
        first: bool,
    ) -> (Vec<Stop>, u64) {
        // An idle process keeps its observation.
        if !first && Arc::ptr_eq(observation, &self.observation) {
            return (Vec::new(), 0);
        }
        self.observation = Arc::clone(observation);
        self.totals = Totals::of(observation, price);
        let counts = latencies(observation);
        // What was first known of now has no past.
        for mark in self
            .latency_at_window
            .iter_mut()
            .chain([&mut self.latency_at_point])
        {
            if mark.is_none() {
                mark.clone_from(&counts);
            }
        }
        self.taken.take(observation, epoch)
    }

    /// The 99th percentile of the latencies since the last point, from which
    /// on the next are counted.
    pub(super) fn point(&mut self) -> Option<u64> {
        self.at_point = self.totals;
        let found = self.latency_since(self.latency_at_point.as_ref());
        self.latency_at_point = latencies(&self.observation);
        found
    }

    /// The 99th percentile of the latencies of the window.
    pub(super) fn latency(&self) -> Option<u64> {
        self.latency_since(self.latency_at_window[0].as_ref())
    }

    /// Begins a window.
    pub(super) fn window(&mut self) {
        self.latency_at_window.swap(0, 1);
        self.latency_at_window[1] = latencies(&self.observation);
    }

    fn latency_since(&self, before: Option<&RuntimeHistogram>) -> Option<u64> {
        let now = &self.observation.state()?.scheduler.latencies;
        p99_since(now, Some(before?))
    }
}

fn latencies(observation: &Observation) -> Option<RuntimeHistogram> {
    let state = observation.state()?;
    Some(state.scheduler.latencies.clone())
}
