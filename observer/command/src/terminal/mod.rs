//! A live table of the node's Go processes, for people at a terminal.

mod draw;
mod rows;

#[cfg(test)]
mod tests;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use observer_node::{Snapshot, Snapshots};

pub(crate) use self::draw::clean_line;
use self::rows::Rates;
pub(crate) use self::rows::clean;

/// How long a key or a new snapshot may wait.
const TICK: Duration = Duration::from_millis(100);

/// What the table says besides the processes.
#[derive(Clone, Debug)]
pub(crate) struct TerminalInfo {
    /// Where the node's HTTP answers, for example `0.0.0.0:9920`.
    pub(crate) listen: String,
    /// Set from outside to end the table.
    pub(crate) stop: Arc<AtomicBool>,
}

/// Shows the table until a key (`q`, Ctrl-C) or [`TerminalInfo::stop`] ends
/// it, or nobody observes any more. Blocks: give it a thread of its own. The
/// terminal is put back however this ends, by a panic of any thread too.
// By value, because the thread owns what it shows.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the thread that runs this owns its receiver and settings"
)]
pub(crate) fn run(snapshots: Snapshots, info: TerminalInfo) -> io::Result<()> {
    // `try_init` sets the panic hook that restores; the guard covers returns.
    let mut terminal = ratatui::try_init()?;
    let _restore = Restore;
    let mut view = View::default();
    loop {
        if info.stop.load(Ordering::Relaxed) || snapshots.has_changed().is_err() {
            return Ok(());
        }
        view.take(snapshots.borrow().as_ref());
        terminal.draw(|frame| draw::draw(frame, &mut view, &info.listen))?;
        if event::poll(TICK)? && handle(&event::read()?, &mut view) {
            return Ok(());
        }
    }
}

/// Puts the terminal back.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// What is on the screen.
#[derive(Default)]
struct View {
    snapshot: Option<Arc<Snapshot>>,
    rates: Rates,
    rows: Vec<rows::Row>,
    /// First row shown.
    top: usize,
}

impl View {
    fn take(&mut self, snapshot: Option<&Arc<Snapshot>>) {
        let Some(snapshot) = snapshot else { return };
        if self
            .snapshot
            .as_ref()
            .is_some_and(|shown| Arc::ptr_eq(shown, snapshot))
        {
            return;
        }
        self.rates.take(snapshot);
        self.rows = rows::rows(snapshot, &self.rates);
        self.snapshot = Some(Arc::clone(snapshot));
    }
}

/// Whether the event ends the table.
fn handle(event: &Event, view: &mut View) -> bool {
    let Event::Key(KeyEvent {
        code,
        modifiers,
        kind: KeyEventKind::Press | KeyEventKind::Repeat,
        ..
    }) = event
    else {
        return false;
    };
    let last = view.rows.len().saturating_sub(1);
    match code {
        KeyCode::Char('q') => return true,
        // Raw mode takes Ctrl-C from the terminal, so it arrives as a key.
        KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => return true,
        KeyCode::Down => view.top = view.top.saturating_add(1).min(last),
        KeyCode::Up => view.top = view.top.saturating_sub(1),
        KeyCode::PageDown => view.top = view.top.saturating_add(20).min(last),
        KeyCode::PageUp => view.top = view.top.saturating_sub(20),
        KeyCode::Home => view.top = 0,
        KeyCode::End => view.top = last,
        _ => {}
    }
    false
}
