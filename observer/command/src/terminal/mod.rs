//! The page's table and a row's view in a terminal, from the API of an observer: of the one
//! that runs in this process (`observer node`), or of another (`observer top`).

mod api;
mod chart;
mod client;
mod columns;
mod detail;
mod draw;
mod keys;
mod model;
mod style;
mod text;
mod trust;
mod view;

#[cfg(test)]
mod tests;

use std::{io, sync::mpsc::Receiver, time::Duration};

use anyhow::{Context, Result};
use axum::Router;
use crossterm::event;

use self::{
    api::Api,
    client::{Client, Message},
    keys::{Act, handle},
    model::{Model, Whose},
};
use crate::settings::TopSettings;

/// How long a key or an event may wait.
const TICK: Duration = Duration::from_millis(50);

/// Shows what another observer says, until it is quit.
pub(crate) fn top(settings: &TopSettings) -> Result<()> {
    let model = Model::new(settings.url.to_string(), Whose::Another);
    show(Api::elsewhere(settings)?, model, || false)
}

/// Shows what the observer of this process says, which others find at `url`, until a key
/// ends it or it `is_over`. Blocks: give it a thread of its own.
pub(crate) fn live(answers: Router, url: String, is_over: impl Fn() -> bool) -> Result<()> {
    show(Api::Here(answers), Model::new(url, Whose::Own), is_over)
}

/// The terminal is put back however this ends, by a panic of any thread too.
fn show(api: Api, mut model: Model, is_over: impl Fn() -> bool) -> Result<()> {
    let (client, messages) = Client::start(api)?;
    // It sets the panic hook that restores; the guard covers returns.
    let mut terminal = ratatui::try_init().context("standard output is not a terminal")?;
    let _restore = Restore;
    follow(&mut terminal, &client, &messages, &mut model, is_over).context("the terminal failed")
}

/// Puts the terminal back.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

fn follow(
    terminal: &mut ratatui::DefaultTerminal,
    client: &Client,
    messages: &Receiver<Message>,
    model: &mut Model,
    is_over: impl Fn() -> bool,
) -> io::Result<()> {
    let mut stale = true;
    while !is_over() {
        while let Ok(message) = messages.try_recv() {
            model.take(message);
            stale = true;
        }
        if stale {
            terminal.draw(|frame| draw::draw(frame, model))?;
            stale = false;
        }
        if event::poll(TICK)? {
            stale = true;
            match handle(&event::read()?, model) {
                Act::Quit => return Ok(()),
                Act::Watch(subject) => client.watch(subject),
                Act::Walk(pids) => client.walk(pids),
                Act::Nothing => {}
            }
        }
    }
    Ok(())
}
