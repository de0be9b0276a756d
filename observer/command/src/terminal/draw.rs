//! Draws the table.

use observer_node::history::{
    Row,
    columns::{Column, columns},
};
use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Cell, Paragraph, Row as TableRow, Table, Wrap},
};

use super::{
    columns::cell,
    detail,
    model::{Model, Whose},
    style::{BOLD, WARN},
    text::clean_line,
};

pub(super) fn draw(frame: &mut Frame<'_>, model: &mut Model) {
    let lacking = u16::from(!model.lacking.is_empty());
    let [head, lacks, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(lacking),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(title(model), head);
    let text = clean_line(&format!("lacking: {}", model.lacking.join("; ")));
    frame.render_widget(Line::styled(text, WARN), lacks);
    if let Some(view) = &model.view {
        detail::draw(frame, body, view);
    } else if model.order.is_empty() {
        empty(frame, body, model);
    } else {
        table(frame, body, model);
    }
    frame.render_widget(footer(model), foot);
}

fn empty(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let text = match (model.whose, model.node.is_some(), model.rows.is_empty()) {
        (_, true, false) => "Nothing matches the filter.",
        (Whose::Another, false, _) => "Asking the observer …",
        (Whose::Another, true, _) => "No Go process runs there.",
        (Whose::Own, false, _) => "Looking at the processes of this machine …",
        (Whose::Own, true, _) => {
            "No Go process runs on this machine.\n\nStart the demo workload in another terminal:\n\n    cargo xtask demo"
        }
    };
    let [_, middle, _] = Layout::vertical([
        Constraint::Fill(1),
        Constraint::Length(5),
        Constraint::Fill(2),
    ])
    .areas(area);
    let text = Paragraph::new(text).alignment(Alignment::Center);
    frame.render_widget(text.wrap(Wrap { trim: false }), middle);
}

fn title(model: &Model) -> Line<'static> {
    let need = model.rows.values();
    let need = need.filter(|row| !row.figures.attention.is_empty()).count();
    let mut spans = vec![
        Span::styled(
            match model.whose {
                Whose::Own => "observer",
                Whose::Another => "observer top",
            },
            BOLD,
        ),
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
    // Until it has looked at the node, the observer of this process has nothing to say.
    let said = model.lost.as_ref();
    if let Some(why) = said.filter(|_| model.whose == Whose::Another || model.node.is_some()) {
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

fn table(frame: &mut Frame<'_>, area: Rect, model: &mut Model) {
    let height = usize::from(area.height.saturating_sub(1)).max(1);
    let place = model.place();
    model.top = model.top.min(place).max((place + 1).saturating_sub(height));
    model.top = model.top.min(model.order.len().saturating_sub(1));
    let shown = columns().fitting(&model.columns, area.width);
    let sorted = &model.columns[model.sorted].id;
    let heading = shown.iter().map(|(column, _)| {
        let arrow = match (column.id == *sorted, model.up) {
            (false, _) => "",
            (true, true) => "▲",
            (true, false) => "▼",
        };
        aligned(column, format!("{arrow}{}", column.title.to_uppercase()))
    });
    let keys = model.order.iter().skip(model.top).take(height);
    let rows = keys.filter_map(|key| model.rows.get(key)).map(|row| {
        let cells = shown
            .iter()
            .map(|(column, width)| aligned(column, cell(column, row, *width)));
        let style = style(row);
        TableRow::new(cells).style(if Some(row.key) == model.at {
            style.add_modifier(Modifier::REVERSED)
        } else {
            style
        })
    });
    // What is left over is for the name.
    let widths = shown.iter().enumerate().map(|(at, (_, width))| match at {
        0 => Constraint::Min(*width),
        _ => Constraint::Length(*width),
    });
    let heading = TableRow::new(heading).style(BOLD.add_modifier(Modifier::UNDERLINED));
    frame.render_widget(Table::new(rows, widths).header(heading), area);
}

fn aligned(column: &Column, text: String) -> Cell<'static> {
    let line = Line::from(text);
    Cell::from(if column.is_number() {
        line.alignment(Alignment::Right)
    } else {
        line
    })
}

fn style(row: &Row) -> Style {
    let figures = &row.figures;
    if figures.covered == 0 && figures.coverable > 0 {
        Style::new().fg(Color::Red)
    } else if figures.attention.is_empty() {
        Style::new()
    } else {
        WARN
    }
}
