//! `observer top`: the page's table and a container's view in a terminal, from
//! the API of an observer, here or elsewhere.

mod chart;
mod client;
mod columns;
mod draw;
mod model;
mod trust;
mod view;

#[cfg(test)]
mod tests;

use std::{io, sync::mpsc::Receiver, time::Duration};

use anyhow::{Context, Result};
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use self::{
    client::{Client, Message, Subject},
    model::Model,
};
use crate::settings::TopSettings;

/// How long a key or an event may wait.
const TICK: Duration = Duration::from_millis(50);

/// Shows the table until it is quit.
pub(crate) fn run(settings: &TopSettings) -> Result<()> {
    let (client, messages) = Client::start(settings)?;
    let mut terminal = ratatui::try_init().context("standard output is not a terminal")?;
    let shown = show(&mut terminal, &client, &messages, settings);
    ratatui::restore();
    shown.context("the terminal failed")
}

fn show(
    terminal: &mut ratatui::DefaultTerminal,
    client: &Client,
    messages: &Receiver<Message>,
    settings: &TopSettings,
) -> io::Result<()> {
    let mut model = Model::new(settings.url.to_string());
    let mut stale = true;
    loop {
        while let Ok(message) = messages.try_recv() {
            model.take(message);
            stale = true;
        }
        if stale {
            terminal.draw(|frame| draw::draw(frame, &mut model))?;
            stale = false;
        }
        if event::poll(TICK)? {
            stale = true;
            match handle(&event::read()?, &mut model) {
                Act::Quit => return Ok(()),
                Act::Watch(subject) => client.watch(subject),
                Act::Walk(pids) => client.walk(pids),
                Act::Nothing => {}
            }
        }
    }
}

/// What a key asks for beyond the model.
#[derive(Debug, PartialEq, Eq)]
enum Act {
    Nothing,
    Quit,
    Watch(Subject),
    /// Walk over the goroutines of these processes.
    Walk(Vec<u32>),
}

fn handle(event: &Event, model: &mut Model) -> Act {
    let Event::Key(KeyEvent {
        code,
        modifiers,
        kind: KeyEventKind::Press | KeyEventKind::Repeat,
        ..
    }) = event
    else {
        return Act::Nothing;
    };
    if *code == KeyCode::Char('c') && modifiers.contains(KeyModifiers::CONTROL) {
        return Act::Quit;
    }
    if model.typing {
        type_filter(*code, model);
        return Act::Nothing;
    }
    if model.view.is_some() {
        return in_view(*code, model);
    }
    match code {
        KeyCode::Char('q') => return Act::Quit,
        KeyCode::Char('/') => model.typing = true,
        KeyCode::Char('a') => model.only = !model.only,
        KeyCode::Char('r') => model.up = !model.up,
        KeyCode::Left | KeyCode::Char('<') => model.sort_by(-1),
        KeyCode::Right | KeyCode::Char('>') => model.sort_by(1),
        KeyCode::Down | KeyCode::Char('j') => model.go(1),
        KeyCode::Up | KeyCode::Char('k') => model.go(-1),
        KeyCode::PageDown => model.go(20),
        KeyCode::PageUp => model.go(-20),
        KeyCode::Home => model.go(isize::MIN),
        KeyCode::End => model.go(isize::MAX),
        KeyCode::Enter => {
            if let Some(id) = model.open() {
                return Act::Watch(Subject::Row(id));
            }
        }
        _ => {}
    }
    model.sort();
    Act::Nothing
}

fn in_view(code: KeyCode, model: &mut Model) -> Act {
    match code {
        KeyCode::Char('q') => Act::Quit,
        KeyCode::Esc | KeyCode::Backspace | KeyCode::Left => {
            model.view = None;
            Act::Watch(Subject::Table)
        }
        KeyCode::Char('g') => {
            let pids = model.view.as_ref().map(view::View::pids);
            pids.map_or(Act::Nothing, Act::Walk)
        }
        _ => Act::Nothing,
    }
}

fn type_filter(code: KeyCode, model: &mut Model) {
    match code {
        KeyCode::Enter => model.typing = false,
        KeyCode::Esc => {
            model.typing = false;
            model.filter.clear();
        }
        KeyCode::Backspace => drop(model.filter.pop()),
        KeyCode::Char(c) => model.filter.push(c),
        _ => {}
    }
    model.sort();
}
