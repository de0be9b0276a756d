//! The table as it stands on the screen.

mod api;
mod live;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::{Terminal, backend::TestBackend};

use super::{
    draw::draw,
    keys::{Act, handle},
    model::Model,
};

fn screen(model: &mut Model, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, model)).unwrap();
    let buffer = terminal.backend().buffer();
    (0..height)
        .map(|y| {
            let line: String = (0..width).map(|x| buffer[(x, y)].symbol()).collect();
            line.trim_end().to_owned()
        })
        .collect()
}

fn press(model: &mut Model, code: KeyCode) -> Act {
    press_with(model, code, KeyModifiers::NONE)
}

fn press_with(model: &mut Model, code: KeyCode, modifiers: KeyModifiers) -> Act {
    handle(&Event::Key(KeyEvent::new(code, modifiers)), model)
}
