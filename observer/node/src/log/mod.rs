//! The log on standard error: one line an event, whatever is in it, written by a thread
//! of its own, so that nobody waits for, or ends with, who reads it.

mod escape;
mod lines;

use std::{
    io::{self, IsTerminal, Write},
    sync::OnceLock,
};

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

pub(crate) use self::escape::Plain;
use self::{escape::PlainFields, lines::Lines};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Where lines go since [`start`].
static LINES: OnceLock<Lines> = OnceLock::new();

/// Logs from now on what `RUST_LOG` says, or what `filter` does where that is not set. To
/// be called once.
pub fn start(format: LogFormat, filter: &str) -> io::Result<()> {
    let started = Lines::start(io::stderr())?;
    let lines = LINES.get_or_init(|| started);
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| filter.into());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(lines.clone())
        // Where a line goes is for `lines` to say.
        .log_internal_errors(false);
    match format {
        LogFormat::Text => log
            .with_ansi(io::stderr().is_terminal())
            .fmt_fields(PlainFields)
            .init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

/// Says something that is not the log's, in a line of its own; the same way as the log
/// where there is one.
pub fn say(text: &str) {
    let mut line = Plain(text).to_string();
    line.push('\n');
    match LINES.get() {
        Some(lines) => lines.put(line.into_bytes()),
        // Who does not read it has it not told.
        None => drop(io::stderr().write_all(line.as_bytes())),
    }
}

/// Waits until all that was logged is written, or for a second.
pub fn flush() {
    if let Some(lines) = LINES.get() {
        lines.flush();
    }
}

/// Lines that were not written since the start: nobody took them in time, or they could
/// not be.
pub fn lost() -> u64 {
    LINES.get().map_or(0, Lines::lost)
}

#[cfg(test)]
mod tests;
