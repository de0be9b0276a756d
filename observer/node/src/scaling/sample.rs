//! What is kept of a process at one instant: what rates are made of.

use std::time::SystemTime;

use observer_go::runtime::RuntimeHistogram;

use crate::node::Observation;

/// One reading of a process's totals.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) at: SystemTime,
    pub(super) live: Option<u64>,
    pub(super) created: Option<u64>,
    pub(super) pause_ns: Option<u64>,
    pub(super) gc_cpu_ns: Option<u64>,
    pub(super) allocated_bytes: Option<u64>,
    pub(super) latencies: Option<RuntimeHistogram>,
    pub(super) pauses: Option<RuntimeHistogram>,
}

impl Sample {
    pub(super) fn of(observation: &Observation, at: SystemTime) -> Self {
        let state = observation.state();
        Self {
            at,
            live: observation.live(),
            created: observation.created(),
            pause_ns: observation.pauses().map(|(total_ns, _)| total_ns),
            gc_cpu_ns: state.and_then(|state| Some(state.cpu.as_ref()?.gc_total_ns)),
            allocated_bytes: state.and_then(|state| Some(state.allocation.as_ref()?.total_bytes)),
            latencies: state.map(|state| state.scheduler.latencies.clone()),
            pauses: state.and_then(|state| {
                let pauses = state.collections.pauses.as_ref();
                pauses.or(state.stops.gc_total.as_ref()).cloned()
            }),
        }
    }
}
