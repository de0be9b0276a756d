//! Families of what probes cover, and of what they cost.

use super::{
    family::{Family, Kind, SECONDS, Samples, family},
    sink::Value,
};

pub(super) static FAMILIES: [Family; 4] = [
    family(
        "observer_process_coverage",
        Kind::Gauge,
        None,
        "1 where the figures of a group are exact, 0 where they are left out for this reason.",
        "the executable, its probes and when they were attached",
        Samples::Group(None, |group, sink| {
            for (figure, missing) in &group.coverage {
                let labels = vec![
                    ("figure", figure.label().to_owned()),
                    (
                        "reason",
                        missing
                            .map_or("", observer_go::binary::Reason::label)
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
        Samples::Group(None, |group, sink| sink.count(group.hits)),
    ),
    family(
        "observer_probe_cost_seconds",
        Kind::Counter,
        SECONDS,
        "CPU time that probe hits took from the process.",
        "hits by site, each at observer_probe_hit_seconds",
        Samples::Group(None, |group, sink| sink.float(group.cost_ns / 1e9)),
    ),
    family(
        "observer_probe_hot",
        Kind::Gauge,
        None,
        "1 where probes on goroutines are set: group exact, one hit for each that comes or goes; group batch, one for 16 created. 0 where they are not needed, or off for a while since they cost more than the budget.",
        "--goroutine-probes and --probe-budget",
        Samples::Group(None, |group, sink| {
            for probes in group.hot_probes() {
                let on = group.probes.has(probes);
                sink.labelled("group", probes.name(), Value::Integer(u64::from(on)));
            }
        }),
    ),
];
