//! Encodes the table through prometheus-client.

use std::{collections::BTreeMap, fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::{MetricType, exemplar::Exemplar},
    registry::Unit,
};

use super::{
    declared_families, families,
    family::{Family, Kind, Samples},
    node::{LeftOutSeries, NodeFigures},
    own_process::OwnProcess,
    series_group::{self, SeriesGroup, SeriesKey},
    sink::{Sink, Value},
};
use crate::node::Snapshot;

/// Most lines of one exposition about processes, some 10 MB: a thousand containers, and
/// more than Prometheus takes of one target by any usual setting.
pub(super) const MAX_SERIES: u64 = 100_000;

/// A snapshot as a collector.
#[derive(Debug)]
pub(super) struct NodeCollector {
    snapshot: Arc<Snapshot>,
    own: OwnProcess,
    groups: BTreeMap<SeriesKey, SeriesGroup>,
    left_out: LeftOutSeries,
}

type Labels<'a> = Vec<(&'static str, &'a str)>;

impl NodeCollector {
    pub(super) fn new(snapshot: Arc<Snapshot>, own: OwnProcess) -> Self {
        let (mut groups, processes) = series_group::groups(&snapshot);
        let mut left_out = bound(&mut groups, MAX_SERIES);
        left_out.processes += processes;
        Self {
            snapshot,
            own,
            groups,
            left_out,
        }
    }

    /// Samples of a family, each with the key of the group it is of.
    fn samples(&self, family: &Family) -> Vec<(Option<&SeriesKey>, Sink)> {
        match family.samples {
            Samples::Node(samples) => {
                let mut sink = Sink::default();
                samples(
                    &NodeFigures {
                        snapshot: &self.snapshot,
                        own: &self.own,
                        left_out: self.left_out,
                    },
                    &mut sink,
                );
                vec![(None, sink)]
            }
            Samples::Span(number, of) => self
                .groups
                .iter()
                .filter(|(_, group)| declared_families::knows(group, number))
                .map(|(key, group)| {
                    let mut sink = Sink::default();
                    declared_families::samples(group, number, of, &mut sink);
                    (Some(key), sink)
                })
                .collect(),
            Samples::Group(figure, samples) => self
                .groups
                .iter()
                .filter(|(_, group)| group.knows(figure))
                .map(|(key, group)| {
                    let mut sink = Sink::default();
                    samples(group, &mut sink);
                    (Some(key), sink)
                })
                .collect(),
        }
    }
}

/// Takes away groups that would make more lines than `most` in all; the living stay first.
fn bound(groups: &mut BTreeMap<SeriesKey, SeriesGroup>, most: u64) -> LeftOutSeries {
    let mut left_out = LeftOutSeries::default();
    let mut lines = 0;
    for living in [true, false] {
        groups.retain(|_, group| {
            if (group.living > 0) != living {
                return true;
            }
            let more = lines_of(group);
            if lines + more > most {
                left_out.processes += group.processes;
                left_out.series += more;
                return false;
            }
            lines += more;
            true
        });
    }
    left_out
}

/// How many lines a group makes.
fn lines_of(group: &SeriesGroup) -> u64 {
    let mut sink = Sink::default();
    for family in families::with_requested() {
        match family.samples {
            Samples::Group(figure, samples) if group.knows(figure) => {
                samples(group, &mut sink);
            }
            Samples::Span(number, of) if declared_families::knows(group, number) => {
                declared_families::samples(group, number, of, &mut sink);
            }
            _ => {}
        }
    }
    sink.0.iter().map(|(_, value)| value.lines()).sum()
}

impl Collector for NodeCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for family in families::with_requested() {
            let samples = self.samples(family);
            if samples.iter().all(|(_, sink)| sink.0.is_empty()) {
                continue;
            }
            // The library appends the unit to the name.
            let unit = family.unit.map(|unit| Unit::Other(unit.to_owned()));
            let name = match family.unit {
                Some(unit) => family
                    .name
                    .strip_suffix(unit)
                    .and_then(|name| name.strip_suffix('_'))
                    .ok_or(fmt::Error)?,
                None => family.name,
            };
            let mut encoder = encoder.encode_descriptor(
                name,
                family.help,
                unit.as_ref(),
                metric_type(family.kind),
            )?;
            for (key, sink) in &samples {
                let own = key.map(key_labels).unwrap_or_default();
                for (extra, value) in &sink.0 {
                    let mut labels = own.clone();
                    labels.extend(extra.iter().map(|(name, value)| (*name, value.as_str())));
                    if labels.is_empty() {
                        encode_value(&mut encoder, family.kind, value)?;
                    } else {
                        encode_value(&mut encoder.encode_family(&labels)?, family.kind, value)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn key_labels(key: &SeriesKey) -> Labels<'_> {
    vec![
        ("namespace", &key.namespace),
        ("pod", &key.pod),
        ("container", &key.container),
        ("process", &key.process),
        ("pid", &key.pid),
    ]
}

/// The library has no summaries: they go as histograms without buckets, whose
/// samples are the same, and [`super::text`] says the type.
fn metric_type(kind: Kind) -> MetricType {
    match kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram | Kind::Summary => MetricType::Histogram,
        Kind::Clashing => MetricType::Unknown,
    }
}

fn encode_value(encoder: &mut MetricEncoder<'_>, kind: Kind, value: &Value) -> fmt::Result {
    const NO_EXEMPLAR: Option<&Exemplar<NoLabelSet, f64>> = None;
    match (kind, value) {
        (Kind::Counter, Value::Integer(value)) => encoder.encode_counter(value, NO_EXEMPLAR),
        (Kind::Counter, Value::Float(value)) => encoder.encode_counter(value, NO_EXEMPLAR),
        (Kind::Gauge | Kind::Clashing, Value::Integer(value)) => encoder.encode_gauge(value),
        (Kind::Gauge, Value::Float(value)) => encoder.encode_gauge(value),
        (Kind::Histogram, Value::Histogram(sum, buckets)) => {
            let count = buckets.iter().map(|(_, count)| count).sum();
            encoder.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)
        }
        (Kind::Summary, Value::Summary(sum, count)) => {
            encoder.encode_histogram::<NoLabelSet>(*sum, *count, &[], None)
        }
        _ => Err(fmt::Error),
    }
}

#[cfg(test)]
mod tests {
    use super::{bound, lines_of};
    use crate::{
        export::{Format, OwnProcess, render, series_group},
        fixtures::{observation, snapshot, with_gc, with_state},
    };

    #[test]
    fn lines_are_bounded_and_the_living_come_first() {
        let mut processes: Vec<_> = (10..20)
            .map(|pid| with_state(with_gc(observation(pid, "/srv/shop"))))
            .collect();
        processes[0].ended = Some(std::time::SystemTime::UNIX_EPOCH);
        let snapshot = snapshot(processes);
        let (groups, _) = series_group::groups(&snapshot);
        let text = render(&snapshot, OwnProcess::default(), Format::Prometheus).unwrap();
        for (key, group) in &groups {
            let pid = format!("pid=\"{}\"", key.pid);
            let lines = text.lines().filter(|line| line.contains(&pid)).count();
            assert_eq!(lines_of(group), lines as u64, "{pid}");
        }
        let of = |pid: &str| {
            let group = groups.iter().find(|(key, _)| key.pid == pid);
            lines_of(group.unwrap().1)
        };
        let (ended, living) = (of("10"), of("11"));
        for (most, left, series) in [
            (ended + 9 * living, 0, 0),
            (ended + 9 * living - 1, 1, ended),
            (3 * living + ended - 1, 7, 6 * living + ended),
            (0, 10, ended + 9 * living),
        ] {
            let (mut groups, _) = series_group::groups(&snapshot);
            let left_out = bound(&mut groups, most);
            assert_eq!(
                (left_out.processes, left_out.series),
                (left, series),
                "{most}"
            );
            assert_eq!(groups.len() as u64, 10 - left);
            assert!(left == 0 || groups.keys().all(|key| key.pid != "10"));
        }
    }
}
