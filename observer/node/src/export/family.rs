//! A metric family: a row of the table.

use observer_ebpf::family::SpanQuantity;
use observer_go::binary::FigureGroup;

use super::{node::NodeFigures, series_group::SeriesGroup, sink::Sink};

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
    /// A counter whose name in OpenMetrics is that of a gauge. There it is of
    /// unknown type, under the name its sample has in Prometheus text.
    Clashing,
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
    /// Of every group that knows the figure exactly.
    Group(Option<FigureGroup>, fn(&SeriesGroup, &mut Sink)),
    /// Of every group that knows exactly what the family of this number counts.
    Span(u8, SpanQuantity),
    /// Of the observer.
    Node(fn(&NodeFigures<'_>, &mut Sink)),
}

pub(super) const fn family(
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

pub(super) const SECONDS: Option<&str> = Some("seconds");

/// A family of the observer.
pub(super) const fn node(
    name: &'static str,
    kind: Kind,
    unit: Option<&'static str>,
    help: &'static str,
    source: &'static str,
    samples: fn(&NodeFigures<'_>, &mut Sink),
) -> Family {
    Family {
        name,
        help,
        unit,
        kind,
        source,
        samples: Samples::Node(samples),
    }
}
