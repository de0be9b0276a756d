//! What keys do.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::{client::Subject, model::Model, view::View};

/// What a key asks for beyond the model.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Act {
    Nothing,
    Quit,
    Watch(Subject),
    /// Walk over the goroutines of these processes.
    Walk(Vec<u32>),
}

/// Does what a key asks for.
pub(super) fn handle(event: &Event, model: &mut Model) -> Act {
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
            let pids = model.view.as_ref().map(View::pids);
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
