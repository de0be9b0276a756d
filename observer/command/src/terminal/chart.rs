//! Lines over time.

use ratatui::{
    Frame,
    layout::Rect,
    style::{Color, Style},
    symbols::Marker,
    text::Line,
    widgets::{Axis, Block, Chart, Dataset, GraphType},
};

/// A line of a chart.
pub(super) struct Trace<'a> {
    pub(super) name: &'static str,
    pub(super) values: Option<&'a Vec<Option<f64>>>,
    pub(super) color: Color,
}

pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    traces: &[Trace<'_>],
    format: fn(f64) -> String,
) {
    let known = |values: &Vec<Option<f64>>| -> Vec<(f64, f64)> {
        let first = -(values.len() as f64) + 1.0;
        let at = |(at, value): (usize, &Option<f64>)| Some((first + at as f64, (*value)?));
        values.iter().enumerate().filter_map(at).collect()
    };
    let lines: Vec<Vec<(f64, f64)>> = traces
        .iter()
        .map(|trace| trace.values.map(known).unwrap_or_default())
        .collect();
    let all = || lines.iter().flatten();
    let most = all().map(|point| point.1).fold(0.0, f64::max).max(1.0);
    let from = all().map(|point| point.0).fold(-60.0, f64::min);
    let sets = traces.iter().zip(&lines).map(|(trace, line)| {
        Dataset::default()
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(Style::new().fg(trace.color))
            .data(line)
    });
    let mut words = vec![format!("{title}: ")];
    for (trace, line) in traces.iter().zip(&lines) {
        if let Some((_, last)) = line.last() {
            words.push(format!("{} {}  ", trace.name, format(*last)));
        }
    }
    let chart = Chart::new(sets.collect())
        .block(Block::bordered().title(Line::from(words.concat())))
        .x_axis(Axis::default().bounds([from, 0.0]))
        .y_axis(
            Axis::default()
                .bounds([0.0, most * 1.05])
                .labels(["0".to_owned(), format(most)]),
        );
    frame.render_widget(chart, area);
}
