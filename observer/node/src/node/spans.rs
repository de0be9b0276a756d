//! What was counted of spans, of whichever family.

use observer_ebpf::family::{ProcessCounts as _, SpanFigures};
use observer_probe::{SpanLabel, Spans};

/// Figures of a span, whatever tells them apart.
pub(crate) fn total(spans: &Spans, span: u8) -> SpanFigures {
    let mut sum = SpanFigures::ZERO;
    let its = spans.iter().filter(|(label, _)| label.span == span);
    its.for_each(|(_, figures)| sum.add(figures));
    sum
}

/// How many of a span go on. Copies of several CPUs are not read at one instant, so an
/// end may be seen before its beginning.
pub(crate) fn in_flight(figures: &SpanFigures) -> u64 {
    let over = figures.ended.saturating_add(figures.abandoned);
    figures.begun.saturating_sub(over)
}

/// The process is over: what went on in it never ends.
pub(super) fn abandon(spans: &mut Spans) {
    let numbers: Vec<u8> = spans.keys().map(|label| label.span).collect();
    for span in numbers {
        let left = in_flight(&total(spans, span));
        let first = SpanLabel { span, label: 0 };
        if left > 0 {
            spans.entry(first).or_default().abandoned += left;
        }
    }
}

#[cfg(test)]
mod tests {
    use observer_ebpf::family::SpanFigures;
    use observer_probe::{SpanLabel, Spans};

    use super::{abandon, in_flight, total};

    #[test]
    fn nothing_goes_on_in_what_has_ended() {
        let figures = |begun, ended| SpanFigures {
            begun,
            ended,
            ..SpanFigures::ZERO
        };
        let label = |span, label| SpanLabel { span, label };
        let mut spans = Spans::from([
            (label(3, 0), figures(10, 1)),
            (label(3, 200), figures(0, 5)),
            (label(4, 0), figures(2, 2)),
        ]);
        assert_eq!(in_flight(&total(&spans, 3)), 4);
        abandon(&mut spans);
        let after = total(&spans, 3);
        assert_eq!((in_flight(&after), after.abandoned), (0, 4));
        assert_eq!(total(&spans, 4).abandoned, 0);
    }
}
