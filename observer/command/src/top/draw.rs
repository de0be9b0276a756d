//! Drawing.

use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Cell, Paragraph, Row as TableRow, Table, Wrap},
};

use super::{
    chart::{self, Trace},
    columns::{COLUMNS, bytes, duration, percent, rate, whole},
    model::Model,
    view::{SERIES, View},
};
use crate::terminal::clean_line;

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const WARN: Style = Style::new().fg(Color::Yellow);

pub(super) fn draw(frame: &mut Frame<'_>, model: &mut Model) {
    let [head, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(title(model), head);
    if let Some(view) = &model.view {
        one(frame, body, view);
    } else if model.order.is_empty() {
        let text = match (model.node.is_some(), model.rows.is_empty()) {
            (false, _) => "Asking the observer …",
            (true, true) => "No Go process runs there.",
            (true, false) => "Nothing matches the filter.",
        };
        frame.render_widget(Paragraph::new(text).alignment(Alignment::Center), body);
    } else {
        table(frame, body, model);
    }
    frame.render_widget(footer(model), foot);
}

fn title(model: &Model) -> Line<'static> {
    let need = model.rows.values();
    let need = need.filter(|row| !row.figures.attention.is_empty()).count();
    let mut spans = vec![
        Span::styled("observer top", BOLD),
        Span::raw(format!(
            "  {} at {}  {} rows",
            clean_line(model.node.as_deref().unwrap_or_default()),
            clean_line(&model.url),
            model.rows.len()
        )),
    ];
    if need > 0 {
        spans.push(Span::styled(format!("  {need} need attention"), WARN));
    }
    if let Some(why) = &model.lost {
        let text = format!("  connection lost: {}", clean_line(why));
        spans.push(Span::styled(text, Style::new().fg(Color::Red)));
    }
    Line::from(spans)
}

fn footer(model: &Model) -> Line<'static> {
    if model.typing {
        return Line::from(format!(
            "filter: {}▏  Enter keeps it, Esc clears it",
            clean_line(&model.filter)
        ));
    }
    if model.view.is_some() {
        return Line::from("q quit  Esc back  g who created the goroutines");
    }
    let filter = match model.filter.as_str() {
        "" => String::new(),
        filter => format!("  [{}]", clean_line(filter)),
    };
    Line::from(format!(
        "q quit  ↑↓ Enter open  ←→ sort  r reverse  / filter  a needs attention{filter}"
    ))
}

/// The columns that fit, in their order.
fn fitting(width: u16, has_namespaces: bool) -> Vec<usize> {
    let mut ranked: Vec<usize> = (0..COLUMNS.len())
        .filter(|column| *column > 0 || has_namespaces)
        .collect();
    ranked.sort_by_key(|column| COLUMNS[*column].rank);
    let mut left = width;
    let mut shown: Vec<usize> = ranked
        .into_iter()
        .take_while(|column| {
            let needs = COLUMNS[*column].width + 1;
            let fits = left >= needs;
            left = left.saturating_sub(needs);
            fits
        })
        .collect();
    shown.sort_unstable();
    if shown.is_empty() { vec![1] } else { shown }
}

fn table(frame: &mut Frame<'_>, area: Rect, model: &mut Model) {
    let height = usize::from(area.height.saturating_sub(1)).max(1);
    let place = model.place();
    model.top = model.top.min(place).max((place + 1).saturating_sub(height));
    model.top = model.top.min(model.order.len().saturating_sub(1));
    let has_namespaces = model.rows.values().any(|row| !row.about.pod.is_empty());
    let shown = fitting(area.width, has_namespaces);
    let heading = shown.iter().map(|column| {
        let text = COLUMNS[*column].heading;
        let arrow = if model.up { '▲' } else { '▼' };
        let text = if *column == model.sorted {
            format!("{arrow}{text}")
        } else {
            text.to_owned()
        };
        cell(*column, text)
    });
    let keys = model.order.iter().skip(model.top).take(height);
    let rows = keys.filter_map(|key| model.rows.get(key)).map(|row| {
        let cells = shown
            .iter()
            .map(|column| cell(*column, (COLUMNS[*column].text)(row)));
        let style = if row.figures.attention.is_empty() {
            Style::new()
        } else {
            WARN
        };
        TableRow::new(cells).style(if Some(row.key) == model.at {
            style.add_modifier(Modifier::REVERSED)
        } else {
            style
        })
    });
    let widths = shown.iter().map(|column| match column {
        1 => Constraint::Min(COLUMNS[1].width),
        column => Constraint::Length(COLUMNS[*column].width),
    });
    let heading = TableRow::new(heading).style(BOLD.add_modifier(Modifier::UNDERLINED));
    frame.render_widget(Table::new(rows, widths).header(heading), area);
}

fn cell(column: usize, text: String) -> Cell<'static> {
    let line = Line::from(text);
    Cell::from(if COLUMNS[column].is_number() {
        line.alignment(Alignment::Right)
    } else {
        line
    })
}

fn one(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let attention = view.row.iter().flat_map(|row| &row.figures.attention);
    let attention: Vec<_> = attention.map(|it| it.text.as_str()).collect();
    let [head, charts, lists] = Layout::vertical([
        Constraint::Length(2 + attention.len() as u16),
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
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }), head);
    let [left, middle, right] = Layout::horizontal([Constraint::Fill(1); 3]).areas(charts);
    let trace = |at: usize, name, color| Trace {
        name,
        values: view.series.get(SERIES[at]),
        color,
    };
    let number = |value: f64| format!("{value:.0}");
    let size = |value: f64| bytes(Some(value as u64));
    chart::draw(
        frame,
        left,
        "Goroutines",
        &[trace(0, "live", Color::Blue)],
        number,
    );
    let rates = [
        trace(1, "created/s", Color::Blue),
        trace(2, "exited/s", Color::Gray),
    ];
    chart::draw(frame, middle, "Rates", &rates, number);
    let sizes = [
        trace(3, "in use", Color::Blue),
        trace(4, "next GC", Color::Gray),
    ];
    chart::draw(frame, right, "Heap", &sizes, size);
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
    let it = &row.figures;
    format!(
        "goroutines {}  created/s {}  exited/s {}  GC pause p99 {}  stopped {}  heap {} of {}  limit {}  sched p99 {}",
        whole(it.goroutines),
        rate(it.created_per_second),
        rate(it.exited_per_second),
        duration(it.pause_p99_ns),
        percent(it.stopped_share),
        bytes(it.heap_bytes),
        bytes(it.next_gc_bytes),
        bytes(it.memory_limit_bytes),
        duration(it.latency_p99_ns),
    )
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
