//! Metric families of what is declared as a span: each is told by the figures that
//! the family declares.

use std::sync::LazyLock;

use observer_ebpf::family::{self, FAMILIES, SPAN_BOUNDS_NS, SpanFigures, SpanQuantity};
use observer_go::binary::FigureGroup;

use super::{
    family::{Family, Kind, Samples},
    series_group::SeriesGroup,
    sink::{Sink, Value, seconds},
};
use crate::node::spans;

/// Those of all families, in the order of the list.
static ALL: LazyLock<Vec<(bool, Family)>> = LazyLock::new(|| {
    let numbered = FAMILIES.iter().enumerate();
    let families = numbered.flat_map(|(number, family)| {
        let figures = family.figures.iter();
        figures.map(move |figure| (family.on_request, of(number as u8, figure)))
    });
    families.collect()
});

/// Those that are exported always.
pub(super) fn always() -> impl Iterator<Item = &'static Family> {
    let always = ALL.iter().filter(|(on_request, _)| !on_request);
    always.map(|(_, family)| family)
}

/// Those that are exported where somebody asks for them.
pub(super) fn on_request() -> impl Iterator<Item = &'static Family> {
    let requested = ALL.iter().filter(|(on_request, _)| *on_request);
    requested.map(|(_, family)| family)
}

fn of(number: u8, figure: &family::SpanMetric) -> Family {
    Family {
        name: figure.name,
        help: figure.help,
        unit: figure.unit,
        kind: match figure.of {
            SpanQuantity::Begun | SpanQuantity::Abandoned => Kind::Counter,
            SpanQuantity::InFlight => Kind::Gauge,
            SpanQuantity::Durations => Kind::Histogram,
        },
        source: figure.source,
        samples: Samples::Span(number, figure.of),
    }
}

/// Whether a group has samples of a family: where it is exact of every process.
pub(super) fn knows(group: &SeriesGroup, number: u8) -> bool {
    group.is_exact(FigureGroup::Declared(number))
}

/// What a group gives of a figure.
pub(super) fn samples(group: &SeriesGroup, number: u8, of: SpanQuantity, sink: &mut Sink) {
    let total = || spans::total(&group.spans, number);
    match of {
        SpanQuantity::Begun => sink.count(total().begun),
        SpanQuantity::Abandoned => sink.count(total().abandoned),
        SpanQuantity::InFlight if group.living > 0 => sink.count(spans::in_flight(&total())),
        SpanQuantity::InFlight => {}
        SpanQuantity::Durations => durations(group, number, sink),
    }
}

fn durations(group: &SeriesGroup, number: u8, sink: &mut Sink) {
    let span = family::Family::of(number).and_then(family::Family::span);
    let Some(label) = span.and_then(|span| span.label.as_ref()) else {
        let total = spans::total(&group.spans, number);
        sink.0.push((Vec::new(), histogram(&total)));
        return;
    };
    let its = group.spans.iter().filter(|(it, _)| it.span == number);
    for (it, figures) in its.filter(|(_, figures)| figures.ended > 0) {
        sink.labelled(label.name, &it.label.to_string(), histogram(figures));
    }
}

fn histogram(figures: &SpanFigures) -> Value {
    let bounds = SPAN_BOUNDS_NS.into_iter().map(seconds);
    let buckets = bounds.chain([f64::INFINITY]).zip(figures.buckets);
    Value::Histogram(seconds(figures.sum_ns), buckets.collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use observer_ebpf::family::{SPAN_BUCKETS, SpanFigures, SpanQuantity};
    use observer_go::binary::FigureGroup;
    use observer_probe::{SpanLabel, Spans};

    use super::{ALL, Samples, histogram};
    use crate::{
        export::{Format, OwnProcess, render, sink::Value},
        fixtures::{observation, snapshot},
        node::Observation,
    };

    /// The same, its spans of this number hit so often.
    fn hit(mut observation: Observation, span: u8, begun: u64) -> Observation {
        let figures = SpanFigures {
            begun,
            hits: begun,
            ..SpanFigures::ZERO
        };
        let spans = Spans::from([(SpanLabel { span, label: 0 }, figures)]);
        observation.figures.events.spans = Arc::new(spans);
        let coverage = Arc::make_mut(&mut observation.coverage.0);
        coverage.insert(FigureGroup::Declared(span), None);
        observation
    }

    #[test]
    fn what_is_on_request_is_exported_where_it_is_probed() {
        let text = |observation| {
            let snapshot = snapshot(vec![observation]);
            render(&snapshot, OwnProcess::default(), Format::Prometheus).expect("text")
        };
        for (on_request, family) in ALL.iter() {
            let Samples::Span(number, SpanQuantity::Begun) = family.samples else {
                continue;
            };
            let sample = format!("\n{}_total{{", family.name);
            let without = text(observation(10, "/srv/shop"));
            assert!(!without.contains(&sample), "{on_request}");
            let found = text(hit(observation(10, "/srv/shop"), number, 17));
            let line = found.lines().find(|line| line.starts_with(&sample[1..]));
            assert!(line.is_some_and(|line| line.ends_with(" 17")), "{found}");
            assert!(found.contains(&format!("# TYPE {}_total counter\n", family.name)));
        }
    }

    #[test]
    fn every_bucket_has_its_bound() {
        let figures = SpanFigures {
            buckets: [1; SPAN_BUCKETS],
            sum_ns: 2_000_000_000,
            ..SpanFigures::ZERO
        };
        let Value::Histogram(sum, buckets) = histogram(&figures) else {
            panic!("no histogram");
        };
        assert!((sum - 2.0).abs() < 1e-9);
        assert_eq!(buckets.len(), SPAN_BUCKETS);
        assert!(buckets[0].0 < 0.0051 && buckets[SPAN_BUCKETS - 1].0.is_infinite());
    }
}
