//! Encodes the table through prometheus-client.

use std::{collections::BTreeMap, fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::{MetricType, exemplar::Exemplar},
    registry::Unit,
};

use super::{
    families::{self, Family, Kind, Samples},
    group::{self, Group, Key},
    node_families::Node,
    own::OwnProcess,
    sink::{Sink, Value},
};
use crate::node::Snapshot;

/// A snapshot as a collector.
#[derive(Debug)]
pub(super) struct NodeCollector {
    snapshot: Arc<Snapshot>,
    own: OwnProcess,
    groups: BTreeMap<Key, Group>,
    left_out: u64,
}

type Labels<'a> = Vec<(&'static str, &'a str)>;

impl NodeCollector {
    pub(super) fn new(snapshot: Arc<Snapshot>, own: OwnProcess) -> Self {
        let (groups, left_out) = group::groups(&snapshot);
        Self {
            snapshot,
            own,
            groups,
            left_out,
        }
    }

    /// Samples of a family, each with the key of the group it is of.
    fn samples(&self, family: &Family) -> Vec<(Option<&Key>, Sink)> {
        match family.samples {
            Samples::Node(samples) => {
                let mut sink = Sink::default();
                samples(
                    &Node {
                        snapshot: &self.snapshot,
                        own: &self.own,
                        left_out: self.left_out,
                    },
                    &mut sink,
                );
                vec![(None, sink)]
            }
            Samples::Group(figure, since, samples) => self
                .groups
                .iter()
                .filter(|(_, group)| {
                    figure.is_none_or(|figure| group.is_exact(figure)) && group.is_since(since)
                })
                .map(|(key, group)| {
                    let mut sink = Sink::default();
                    samples(group, &mut sink);
                    (Some(key), sink)
                })
                .collect(),
        }
    }
}

impl Collector for NodeCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for family in families::all() {
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

fn key_labels(key: &Key) -> Labels<'_> {
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
