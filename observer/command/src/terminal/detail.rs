//! Draws one row's last minutes.

use observer_node::history::{
    Row,
    columns::{Format, columns},
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style},
    text::Line,
    widgets::{Block, Paragraph, Row as TableRow, Table, Wrap},
};

use super::{
    chart::{self, Trace},
    columns::text,
    style::{BOLD, WARN},
    text::{UNKNOWN, bytes, clean_line, whole},
    view::{Missing, SERIES, View},
};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let attention = view.row.iter().flat_map(|row| &row.figures.attention);
    let attention: Vec<_> = attention.map(|it| it.text.as_str()).collect();
    let missing = missing(&view.facts.missing);
    let [head, charts, lists] = Layout::vertical([
        Constraint::Length((3 + attention.len() + missing.len()) as u16),
        Constraint::Percentage(50),
        Constraint::Min(6),
    ])
    .areas(area);
    let mut lines = vec![
        Line::styled(view.name.clone(), BOLD),
        Line::from(facts(view)),
    ];
    let warned = attention.iter();
    lines.extend(warned.map(|text| Line::styled(format!("! {}", clean_line(text)), WARN)));
    lines.extend(missing.into_iter().map(Line::from));
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }), head);
    let [left, middle, right] = Layout::horizontal([Constraint::Fill(1); 3]).areas(charts);
    let trace = |at: usize, name, color| Trace {
        name,
        values: view.series.get(SERIES[at]),
        color,
    };
    chart::draw(
        frame,
        left,
        "Goroutines",
        &[trace(0, "live", Color::Blue)],
        whole,
    );
    let rates = [
        trace(1, "created/s", Color::Blue),
        trace(2, "exited/s", Color::Gray),
    ];
    chart::draw(frame, middle, "Rates", &rates, whole);
    let sizes = [
        trace(3, "in use", Color::Blue),
        trace(4, "next GC", Color::Gray),
    ];
    chart::draw(frame, right, "Heap", &sizes, bytes);
    let [left, right] = Layout::horizontal([Constraint::Fill(1); 2]).areas(lists);
    stops(frame, left, view);
    creators(frame, right, view);
}

fn facts(view: &View) -> String {
    let Some(row) = view.row.as_ref().filter(|_| !view.gone) else {
        return if view.gone {
            "not observed any more"
        } else {
            "…"
        }
        .to_owned();
    };
    format!("{}  collections {}", figures(row), collections(view))
}

/// Each figure of the table.
fn figures(row: &Row) -> String {
    let all = columns().of(!row.about.pod.is_empty()).into_iter();
    let all = all.filter(|column| column.is_number() && column.format != Format::Pid);
    let said = all.map(|column| format!("{} {}", column.title.to_lowercase(), text(column, row)));
    said.collect::<Vec<_>>().join("  ")
}

fn collections(view: &View) -> String {
    let known = view.facts.collections;
    known.map_or_else(|| UNKNOWN.to_owned(), |count| count.to_string())
}

/// What is not known and why, the first few.
fn missing(missing: &[Missing]) -> Vec<String> {
    const SHOWN: usize = 3;
    let said = missing.iter().take(SHOWN).map(|it| {
        let figure = it.figure.replace('_', " ");
        clean_line(&format!("no {figure}: {} ({})", it.detail, it.reason))
    });
    let more = missing.len().saturating_sub(SHOWN);
    let more = (more > 0).then(|| format!("and {more} more"));
    said.chain(more).collect()
}

fn stops(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let newest: Option<u128> = view.stops.back().and_then(|it| it.began_ns.parse().ok());
    let ago = |began: &str| -> Option<String> {
        let before = newest?.checked_sub(began.parse().ok()?)?;
        Some(format!("-{:.3}s", before as f64 / 1e9))
    };
    let rows = view
        .stops
        .iter()
        .rev()
        .take(area.height.into())
        .map(|stop| {
            TableRow::new([
                ago(&stop.began_ns).unwrap_or_default(),
                clean_line(&stop.reason).replace('_', " "),
                format!("{} ns", stop.pause_ns),
                if stop.reason.starts_with("gc") {
                    clean_line(&stop.trigger)
                } else {
                    String::new()
                },
            ])
        });
    let widths = [10, 22, 14, 8].map(Constraint::Length);
    let block = Block::bordered().title("Stops of the world, the last first");
    frame.render_widget(Table::new(rows, widths).block(block), area);
}

fn creators(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let title = match &view.said {
        Some(said) => format!("Creators of live goroutines: {}", clean_line(said)),
        None => "Creators of live goroutines: press g".to_owned(),
    };
    let rows =
        view.creators.iter().map(|creator| {
            let change = creator
                .change
                .map(|by| format!("{by:+}"))
                .unwrap_or_default();
            let grew = creator.change.is_some_and(|by| by > 0);
            TableRow::new([creator.count.to_string(), change, creator.place.clone()])
                .style(if grew { WARN } else { Style::new() })
        });
    let widths = [
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Min(20),
    ];
    frame.render_widget(
        Table::new(rows, widths).block(Block::bordered().title(title)),
        area,
    );
}
