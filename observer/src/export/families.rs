//! The table of metric families.
//!
//! Names, types and units are those of client_golang's Go collector wherever
//! it has one for the figure; the others follow its style.

use super::{
    buckets::{Reduced, upper_bounds},
    group::Group,
    node_families,
    stops::{FORCED, MARK_TERMINATION, STOP_REASONS, SWEEP_TERMINATION, TRIGGERS, is_collector},
};
use crate::gobinary::Figure;

/// A family's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, while its processes live.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations by bucket.
    Histogram,
    /// A sum and a count, without quantiles.
    Summary,
}

/// What is exported under one name.
pub struct Family {
    /// As OpenMetrics names it: a counter without `_total`.
    pub name: &'static str,
    /// One sentence for people.
    pub help: &'static str,
    /// The unit, which is also the end of the name.
    pub unit: Option<&'static str>,
    /// The type.
    pub kind: Kind,
    /// Where the figure comes from: what the runtime itself calls it, or the formula.
    pub source: &'static str,
    /// Where the samples come from.
    pub(super) samples: Samples,
}

/// Where a family's samples come from.
pub(super) enum Samples {
    /// Of every group that knows the figure exactly and runs at least this
    /// minor version of Go (0 for any).
    Group(Option<Figure>, u16, fn(&Group, &mut Sink)),
    /// Of the observer.
    Node(fn(&node_families::Node<'_>, &mut Sink)),
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Integer(u64),
    Float(f64),
    /// Sum, and counts by upper bound, not cumulative.
    Histogram(f64, Vec<(f64, u64)>),
    /// Sum and count.
    Summary(f64, u64),
}

/// Takes a family's samples: labels beyond the group's own, and the value.
#[derive(Debug, Default)]
pub(super) struct Sink(pub(super) Vec<(Vec<(&'static str, String)>, Value)>);

impl Sink {
    pub(super) fn count(&mut self, value: u64) {
        self.0.push((Vec::new(), Value::Integer(value)));
    }

    pub(super) fn float(&mut self, value: f64) {
        self.0.push((Vec::new(), Value::Float(value)));
    }

    pub(super) fn labelled(&mut self, name: &'static str, label: &str, value: Value) {
        self.0.push((vec![(name, label.to_owned())], value));
    }

    fn histogram(&mut self, reduced: &Reduced) {
        let buckets = upper_bounds().iter().copied().zip(reduced.counts).collect();
        self.0.push((
            Vec::new(),
            Value::Histogram(seconds(reduced.sum_ns), buckets),
        ));
    }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

const fn family(
    name: &'static str,
    kind: Kind,
    unit: Option<&'static str>,
    help: &'static str,
    source: &'static str,
    samples: Samples,
) -> Family {
    Family {
        name,
        help,
        unit,
        kind,
        source,
        samples,
    }
}

const SECONDS: Option<&str> = Some("seconds");

/// Families of the observed processes.
static PROCESSES: [Family; 23] = [
    family(
        "go_info",
        Kind::Gauge,
        None,
        "Information about the Go environment.",
        "runtime.Version(), from the executable's build information",
        Samples::Group(None, 0, |group, sink| {
            for version in &group.versions {
                sink.labelled("version", version, Value::Integer(1));
            }
        }),
    ),
    family(
        "go_goroutines",
        Kind::Gauge,
        None,
        "Number of goroutines that currently exist.",
        "runtime.NumGoroutine: created less ended, both without the runtime's own; for processes seen from their start",
        Samples::Group(Some(Figure::Goroutines), 0, |group, sink| {
            // An ended process has no goroutines, whatever was counted last.
            if let (Some(live), 1..) = (group.live, group.living) {
                sink.count(live);
            }
        }),
    ),
    family(
        "go_sched_goroutines_created_goroutines",
        Kind::Counter,
        None,
        "Count of goroutines created, the runtime's own included, since the probes were attached.",
        "/sched/goroutines-created:goroutines (1.26+): calls of newproc1",
        Samples::Group(Some(Figure::GoroutinesCreated), 0, |group, sink| {
            sink.count(group.created)
        }),
    ),
    family(
        "go_sched_goroutines_exited_goroutines",
        Kind::Counter,
        None,
        "Count of goroutines ended, the runtime's own included, since the probes were attached.",
        "no name in runtime/metrics: gdestroy (1.22+), goexit0 (up to 1.21)",
        Samples::Group(Some(Figure::GoroutinesExited), 0, |group, sink| {
            sink.count(group.exited)
        }),
    ),
    family(
        "go_gc_cycles_total_gc_cycles",
        Kind::Counter,
        None,
        "Count of all completed GC cycles.",
        "/gc/cycles/total:gc-cycles",
        Samples::Group(Some(Figure::GcCycles), 0, |group, sink| {
            sink.count(group.cycles.iter().sum())
        }),
    ),
    family(
        "go_gc_cycles_automatic_gc_cycles",
        Kind::Counter,
        None,
        "Count of completed GC cycles generated by the Go runtime; cycles whose trigger was not seen included.",
        "/gc/cycles/automatic:gc-cycles: gcTriggerHeap and gcTriggerTime",
        Samples::Group(Some(Figure::GcCycles), 0, |group, sink| {
            sink.count(group.cycles.iter().sum::<u64>() - group.cycles[FORCED]);
        }),
    ),
    family(
        "go_gc_cycles_forced_gc_cycles",
        Kind::Counter,
        None,
        "Count of completed GC cycles forced by the application.",
        "/gc/cycles/forced:gc-cycles: gcTriggerCycle",
        Samples::Group(Some(Figure::GcCycles), 0, |group, sink| {
            sink.count(group.cycles[FORCED])
        }),
    ),
    family(
        "go_gc_cycles_by_trigger_gc_cycles",
        Kind::Counter,
        None,
        "Count of completed GC cycles by what triggered them: heap, time, forced, or unknown where that was not seen.",
        "no name in runtime/metrics: gcTrigger.kind at gcStart",
        Samples::Group(Some(Figure::GcCycles), 0, |group, sink| {
            for (trigger, cycles) in TRIGGERS.iter().zip(group.cycles) {
                sink.labelled("trigger", trigger, Value::Integer(cycles));
            }
        }),
    ),
    family(
        "go_gc_duration_seconds",
        Kind::Summary,
        SECONDS,
        "A summary of the wall-time pause (stop-the-world) duration in garbage collection cycles seen whole.",
        "MemStats.PauseTotalNs and NumGC, of cycles seen whole",
        Samples::Group(Some(Figure::GcPauses), 0, |group, sink| {
            sink.0.push((
                Vec::new(),
                Value::Summary(seconds(group.pause_total_ns), group.whole_cycles),
            ));
        }),
    ),
    family(
        "go_gc_sweep_termination_seconds",
        Kind::Summary,
        SECONDS,
        "Stops of the world for sweep termination, the start of a GC cycle.",
        "stops for stwGCSweepTerm, from stopping to running again",
        Samples::Group(Some(Figure::GcPauses), 0, |group, sink| {
            phase(group, SWEEP_TERMINATION, sink)
        }),
    ),
    family(
        "go_gc_concurrent_mark_seconds",
        Kind::Summary,
        SECONDS,
        "Concurrent mark of GC cycles seen whole.",
        "from the world running after sweep termination to the stop for mark termination",
        Samples::Group(Some(Figure::GcPauses), 0, |group, sink| {
            sink.0.push((
                Vec::new(),
                Value::Summary(seconds(group.mark_ns), group.whole_cycles),
            ));
        }),
    ),
    family(
        "go_gc_mark_termination_seconds",
        Kind::Summary,
        SECONDS,
        "Stops of the world for mark termination, the end of a GC cycle, restarts of marking included.",
        "stops for stwGCMarkTerm, from stopping to running again",
        Samples::Group(Some(Figure::GcPauses), 0, |group, sink| {
            phase(group, MARK_TERMINATION, sink)
        }),
    ),
    family(
        "go_sched_pauses_total_gc_seconds",
        Kind::Histogram,
        SECONDS,
        "Distribution of individual GC-related stop-the-world pause latencies, from deciding to stop the world until it is started again. The sum is exact.",
        "/sched/pauses/total/gc:seconds (1.22+), /gc/pauses:seconds before; client_golang's buckets",
        Samples::Group(Some(Figure::GcPauses), 0, |group, sink| {
            sink.histogram(&group.total_gc)
        }),
    ),
    family(
        "go_sched_pauses_total_other_seconds",
        Kind::Histogram,
        SECONDS,
        "Distribution of individual non-GC-related stop-the-world pause latencies, from deciding to stop the world until it is started again. The sum is exact.",
        "/sched/pauses/total/other:seconds (1.22+); client_golang's buckets",
        Samples::Group(Some(Figure::OtherStops), 0, |group, sink| {
            sink.histogram(&group.total_other)
        }),
    ),
    family(
        "go_sched_pauses_stopping_gc_seconds",
        Kind::Histogram,
        SECONDS,
        "Distribution of individual GC-related stop-the-world stopping latencies, from deciding to stop the world until all Ps are stopped. The sum is exact.",
        "/sched/pauses/stopping/gc:seconds (1.22+); client_golang's buckets",
        Samples::Group(Some(Figure::GcPauses), 22, |group, sink| {
            sink.histogram(&group.stopping_gc)
        }),
    ),
    family(
        "go_sched_pauses_stopping_other_seconds",
        Kind::Histogram,
        SECONDS,
        "Distribution of individual non-GC-related stop-the-world stopping latencies, from deciding to stop the world until all Ps are stopped. The sum is exact.",
        "/sched/pauses/stopping/other:seconds (1.22+); client_golang's buckets",
        Samples::Group(Some(Figure::OtherStops), 22, |group, sink| {
            sink.histogram(&group.stopping_other)
        }),
    ),
    family(
        "go_sched_stops",
        Kind::Counter,
        None,
        "Count of stops of the world by reason; a reason that has not occurred is left out.",
        "stwReason, or the caller up to 1.20",
        Samples::Group(None, 0, |group, sink| {
            stops(group, sink, |stop| Value::Integer(stop.count))
        }),
    ),
    family(
        "go_sched_stops_seconds",
        Kind::Counter,
        SECONDS,
        "Time the world was stopped by reason, from deciding to stop until it is started again.",
        "as /sched/pauses/total, by stwReason",
        Samples::Group(None, 0, |group, sink| {
            stops(group, sink, |stop| Value::Float(seconds(stop.total_ns)))
        }),
    ),
    family(
        "go_sched_stops_stopping_seconds",
        Kind::Counter,
        SECONDS,
        "Part of go_sched_stops_seconds_total until all Ps were stopped.",
        "as /sched/pauses/stopping (1.22+), by stwReason",
        Samples::Group(None, 22, |group, sink| {
            stops(group, sink, |stop| Value::Float(seconds(stop.stopping_ns)))
        }),
    ),
    family(
        "observer_process_coverage",
        Kind::Gauge,
        None,
        "1 where the figures of a group are exact, 0 where they are left out for this reason.",
        "the executable, its probes and when they were attached",
        Samples::Group(None, 0, |group, sink| {
            for (figure, missing) in &group.coverage {
                let labels = vec![
                    ("figure", figure.label().to_owned()),
                    (
                        "reason",
                        missing
                            .map_or("", crate::gobinary::Reason::label)
                            .to_owned(),
                    ),
                ];
                sink.0
                    .push((labels, Value::Integer(u64::from(missing.is_none()))));
            }
        }),
    ),
    family(
        "observer_probe_hits",
        Kind::Counter,
        None,
        "Probe hits in the process.",
        "counted by the programs",
        Samples::Group(None, 0, |group, sink| sink.count(group.hits)),
    ),
    family(
        "observer_probe_cost_seconds",
        Kind::Counter,
        SECONDS,
        "CPU time that probe hits took from the process.",
        "hits by site, each at observer_probe_hit_seconds",
        Samples::Group(None, 0, |group, sink| sink.float(group.cost_ns / 1e9)),
    ),
    family(
        "observer_probe_hot",
        Kind::Gauge,
        None,
        "1 where the probes on goroutines are set, 0 where they cost more than the budget and are off for a while.",
        "--probe-budget",
        Samples::Group(None, 0, |group, sink| sink.count(u64::from(group.is_hot()))),
    ),
];

/// Every family, in the order of the exposition.
pub fn all() -> impl Iterator<Item = &'static Family> {
    PROCESSES.iter().chain(&node_families::FAMILIES)
}

fn phase(group: &Group, reason: usize, sink: &mut Sink) {
    let stop = &group.stops[reason];
    sink.0.push((
        Vec::new(),
        Value::Summary(seconds(stop.total_ns), stop.count),
    ));
}

fn stops(group: &Group, sink: &mut Sink, value: fn(&observer_ebpf::StopFigures) -> Value) {
    for (reason, stop) in group.stops.iter().enumerate() {
        let collector = is_collector(reason);
        let figure = if collector {
            Figure::GcPauses
        } else {
            Figure::OtherStops
        };
        // The collector's are there from the start, so that their rate is known at once.
        if group.is_exact(figure) && (collector || stop.count > 0) {
            sink.labelled("reason", STOP_REASONS[reason], value(stop));
        }
    }
}
