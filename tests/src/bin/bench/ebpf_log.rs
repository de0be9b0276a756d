//! What the programs' own messages cost: nothing where they are off.

use std::{fmt::Write as _, process::Command};

use observer_probe::{Kernel, LoadOptions, LogLevel, Probes, ProgramBytes};
use observer_tests::{Observer, metrics, paths};

use crate::statistics::median;

const TURNS: usize = 5;
const LEVELS: [(&str, Option<LogLevel>); 4] = [
    ("off", None),
    ("error", Some(LogLevel::Error)),
    ("info", Some(LogLevel::Info)),
    ("debug", Some(LogLevel::Debug)),
];

fn program(log: Option<LogLevel>) -> ProgramBytes {
    let options = LoadOptions {
        log,
        ..LoadOptions::default()
    };
    let mut probes = Probes::load(Kernel::read(), options).expect("the programs");
    probes.program_bytes().expect("the program that probes run")
}

/// Nanoseconds of a hit, as an observer measures them when it starts.
fn hit(level: &str) -> f64 {
    let mut command = Command::new(paths::observer());
    command.env("OBSERVER_EBPF_LOG", level);
    let observer = Observer::start_as(command);
    let seconds = metrics::sum(
        &observer.metrics(),
        "observer_probe_hit_seconds",
        &["kind=\"emulated\""],
    );
    observer.stop();
    seconds.expect("the cost of a hit") * 1e9
}

/// The table.
pub(crate) fn table() -> String {
    let mut table = format!(
        "The program that probes run, and ns that a hit of it adds on an emulated instruction, \
         medians of {TURNS} observers each in turn.\n\n\
         | `--ebpf-log` | verified instructions, bytes | compiled, bytes | ns per hit |\n\
         | --- | --- | --- | --- |\n"
    );
    let turns: Vec<_> = (0..TURNS)
        .map(|_| LEVELS.map(|(level, _)| hit(level)))
        .collect();
    for (place, (level, log)) in LEVELS.into_iter().enumerate() {
        let bytes = program(log);
        let _ = writeln!(
            table,
            "| {level} | {} | {} | {:.0} |",
            bytes.verified,
            bytes.compiled,
            median(turns.iter().map(|turn| turn[place])),
        );
    }
    table
}
