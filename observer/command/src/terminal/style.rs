//! How text stands out.

use ratatui::style::{Color, Modifier, Style};

pub(super) const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
pub(super) const WARN: Style = Style::new().fg(Color::Yellow);
