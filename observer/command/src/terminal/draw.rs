//! Drawing.

use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Cell, Paragraph, Row as TableRow, Table, Wrap},
};

use super::{
    View,
    rows::{HEADINGS, Row, State, clean},
};

/// The column of containers, and the width that an id is shown in.
const CONTAINER: usize = 2;
const CONTAINER_ID: usize = 12;

/// Columns, least important last, with the width each needs; what does not
/// fit into the terminal is left out.
const COLUMNS: [(usize, u16); 11] = [
    (0, 18),
    (1, 8),
    (10, 20),
    (5, 9),
    (4, 10),
    (9, 7),
    (7, 6),
    (3, 8),
    (8, 9),
    (6, 8),
    (CONTAINER, CONTAINER_ID as u16),
];

pub(super) fn draw(frame: &mut Frame<'_>, view: &mut View, listen: &str) {
    let [head, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    view.top = view.top.min(view.rows.len().saturating_sub(1));
    frame.render_widget(title(view), head);
    if view.rows.is_empty() {
        empty(frame, body, view.snapshot.is_some());
    } else {
        table(frame, body, view);
    }
    frame.render_widget(footer(view, listen), foot);
}

fn title(view: &View) -> Line<'static> {
    let living = view
        .rows
        .iter()
        .filter(|row| row.state != State::Ended)
        .count();
    let plural = if living == 1 { "" } else { "es" };
    Line::from(vec![
        Span::styled("observer", Style::new().add_modifier(Modifier::BOLD)),
        Span::raw(format!(
            "  {living} Go process{plural}   q quits, arrows scroll"
        )),
    ])
}

fn empty(frame: &mut Frame<'_>, area: Rect, observed: bool) {
    let text = if observed {
        "No Go process runs on this machine.\n\nStart the demo workload in another terminal:\n\n    cargo xtask demo"
    } else {
        "Looking at the processes of this machine …"
    };
    let [_, middle, _] = Layout::vertical([
        Constraint::Fill(1),
        Constraint::Length(5),
        Constraint::Fill(2),
    ])
    .areas(area);
    frame.render_widget(
        Paragraph::new(text)
            .alignment(Alignment::Center)
            .wrap(Wrap { trim: false }),
        middle,
    );
}

fn table(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let mut shown = columns(area.width);
    // Of a pod's container the name is worth more than of a bare id.
    let longest = view.rows.iter().map(|row| row.cells[CONTAINER].len()).max();
    let widest = longest.unwrap_or_default().clamp(CONTAINER_ID, 48) as u16;
    for (column, width) in &mut shown {
        if *column == CONTAINER {
            *width = widest;
        }
    }
    let widths = shown.iter().map(|&(column, width)| match column {
        0 => Constraint::Min(width),
        _ => Constraint::Length(width),
    });
    let heading = TableRow::new(
        shown
            .iter()
            .map(|&(column, _)| cell(column, HEADINGS[column])),
    )
    .style(Style::new().add_modifier(Modifier::REVERSED));
    let rows = view
        .rows
        .iter()
        .skip(view.top)
        .take(area.height as usize)
        .map(|row| {
            TableRow::new(
                shown
                    .iter()
                    .map(|&(column, _)| cell(column, &row.cells[column])),
            )
            .style(style(row))
        });
    frame.render_widget(Table::new(rows, widths).header(heading), area);
}

/// The columns that fit, in the order of [`HEADINGS`].
fn columns(width: u16) -> Vec<(usize, u16)> {
    let mut left = width;
    let mut shown: Vec<_> = COLUMNS
        .into_iter()
        .take_while(|(_, needs)| {
            let fits = left > *needs;
            left = left.saturating_sub(needs + 1);
            fits
        })
        .collect();
    shown.sort_by_key(|(column, _)| *column);
    if shown.is_empty() {
        vec![(0, width)]
    } else {
        shown
    }
}

fn cell(column: usize, text: &str) -> Cell<'static> {
    let line = Line::from(text.to_owned());
    Cell::from(if (4..=9).contains(&column) {
        line.alignment(Alignment::Right)
    } else {
        line
    })
}

fn style(row: &Row) -> Style {
    match row.state {
        State::Exact => Style::new(),
        State::Partial => Style::new().fg(Color::Yellow),
        State::Blind => Style::new().fg(Color::Red),
        State::Ended => Style::new().fg(Color::DarkGray),
    }
}

fn footer(view: &View, listen: &str) -> Line<'static> {
    let mut spans = vec![Span::raw(format!("http://{}/metrics", clean(listen)))];
    if let Some(snapshot) = &view.snapshot
        && !snapshot.health.missing.is_empty()
    {
        let lacking: Vec<_> = snapshot
            .health
            .missing
            .iter()
            .map(|missing| clean_line(missing))
            .collect();
        spans.push(Span::styled(
            format!("  lacking: {}", lacking.join("; ")),
            Style::new().fg(Color::Yellow),
        ));
    }
    Line::from(spans)
}

/// A line of text without control characters.
pub(crate) fn clean_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
