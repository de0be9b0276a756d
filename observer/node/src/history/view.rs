//! One row with its past, as it is served.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    row::Row,
    row_history::{RowHistory, limit},
    series::Series,
    stops::{BOTH, Stop},
    store::Store,
};
use crate::export::{STOP_REASONS, TRIGGERS};

/// One row with its past.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    /// The node's name.
    pub node: String,
    /// Whether rows are containers of pods.
    pub kubernetes: bool,
    /// What is new, which is all.
    #[serde(flatten)]
    pub change: ViewChange,
}

/// What is new of a row.
#[derive(Debug, Serialize)]
pub(crate) struct ViewChange {
    /// The row now.
    pub row: Row,
    /// What stands beside its charts.
    pub facts: Facts,
    /// Its points.
    pub series: Series,
    /// Number of the next point.
    pub points: u64,
    /// Its stops of the world, oldest first.
    pub stops: Vec<StopJson>,
    /// Number of the next stop.
    pub stops_next: u64,
    /// Stops that were over before they could be looked at: more than 31
    /// between two samples.
    pub stops_missed: u64,
}

/// What stands beside a row's charts; sums of its processes.
#[derive(Debug, Serialize)]
pub(crate) struct Facts {
    /// Threads.
    pub threads: Option<u64>,
    /// GOMAXPROCS.
    pub gomaxprocs: Option<u64>,
    /// GOGC of its processes; -1 for off.
    pub gogc_percent: BTreeSet<i64>,
    /// GOMEMLIMIT; none where it is not set.
    pub memory_limit_bytes: Option<u64>,
    /// Bytes allocated since its processes began.
    pub allocated_bytes: Option<u64>,
    /// Collections completed since then.
    pub collections: Option<u64>,
    /// Of those, the forced ones.
    pub forced_collections: Option<u64>,
    /// What its executables are: path, and the main package.
    pub executables: BTreeSet<String>,
    /// Figures that are not exact, each with its reason.
    pub missing: Vec<GapJson>,
}

/// A group of figures that is not exact.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct GapJson {
    /// Which.
    pub figure: &'static str,
    /// Why, as in the label of `observer_process_coverage`.
    pub reason: &'static str,
    /// Why, for people.
    pub detail: String,
}

/// A stop of the world.
#[derive(Debug, Serialize)]
pub(crate) struct StopJson {
    /// When it began, in nanoseconds since the epoch; as text, since a browser's
    /// numbers have no room for it.
    pub began_ns: String,
    /// How long the world stood still.
    pub pause_ns: u64,
    /// As in the label of `go_sched_stops_total`; `gc` for both stops of a
    /// cycle that only the runtime's own record tells of.
    pub reason: &'static str,
    /// What triggered the cycle that ran.
    pub trigger: &'static str,
    /// Whether it was the last of its cycle.
    pub ends_cycle: bool,
    /// The process.
    pub pid: u32,
}

impl From<&Stop> for StopJson {
    fn from(stop: &Stop) -> Self {
        let name = |names: &[&'static str], at: u8| {
            let name = names.get(usize::from(at));
            name.copied().unwrap_or("unknown")
        };
        Self {
            began_ns: stop.began_ns.to_string(),
            pause_ns: stop.pause_ns,
            reason: match stop.reason {
                BOTH => "gc",
                reason => name(&STOP_REASONS, reason),
            },
            trigger: name(&TRIGGERS, stop.trigger),
            ends_cycle: stop.ends_cycle,
            pid: stop.pid,
        }
    }
}

impl Store {
    pub(super) fn view(&mut self, id: &str) -> Option<View> {
        let change = self.view_change(id, 0, 0)?;
        let table = self.table();
        Some(View {
            node: table.node.clone(),
            kubernetes: table.kubernetes,
            change,
        })
    }

    pub(super) fn view_change(&self, id: &str, points: u64, stops: u64) -> Option<ViewChange> {
        let entry = self.entry(id)?;
        Some(ViewChange {
            row: Row {
                // The series has it.
                spark: Vec::new(),
                ..entry.row()
            },
            facts: facts(entry),
            series: entry.points().since(points).collect(),
            points: entry.points().pushed(),
            stops: entry.stops().since(stops).map(StopJson::from).collect(),
            stops_next: entry.stops().pushed(),
            stops_missed: entry.missed(),
        })
    }
}

fn facts(entry: &RowHistory) -> Facts {
    let sum = |of: fn(&crate::node::Observation) -> Option<u64>| {
        entry.members().map(|it| of(it)).sum::<Option<u64>>()
    };
    let gogc = entry.of_states(|state| Some(state.settings.gogc_percent));
    let off = |percent: u64| i64::try_from(percent).unwrap_or(-1);
    let missing: BTreeSet<_> = entry
        .members()
        .flat_map(|it| it.coverage.0.iter())
        .filter_map(|(figure, missing)| {
            let missing = missing.as_ref()?;
            Some(GapJson {
                figure: figure.label(),
                reason: missing.reason.label(),
                detail: missing.detail.clone(),
            })
        })
        .collect();
    Facts {
        threads: entry.sum(|state| Some(state.scheduler.threads)),
        gomaxprocs: entry.sum(|state| Some(state.scheduler.processors)),
        gogc_percent: gogc.into_iter().flatten().map(off).collect(),
        memory_limit_bytes: entry.sum(limit),
        allocated_bytes: entry.sum(|state| Some(state.allocation.as_ref()?.total_bytes)),
        collections: sum(crate::node::Observation::cycles),
        forced_collections: sum(crate::node::Observation::forced_cycles),
        executables: entry
            .members()
            .map(|it| {
                it.process
                    .executable
                    .path
                    .to_string_lossy()
                    .chars()
                    .take(255)
                    .collect()
            })
            .collect(),
        missing: missing.into_iter().collect(),
    }
}
