//! What the tests do inside a virtual machine: `guest SCENARIO [ARGUMENT …]`.
//!
//! A scenario is a file here and a line of [`SCENARIOS`]; on which kernels it
//! runs stands in `xtask/src/vm/table.rs`. It panics where something is wrong.
//! What it prints are the lines that a person wants to see of a good run.

mod apparmor;
mod arguments;
mod builds;
mod cgroups;
mod ends;
mod inspect;
mod kernel_log;
mod load;
mod matrix;
mod overwrite;
mod pod;
mod state;
mod storm;
mod strict;
mod text;

use std::{env, fs, process::ExitCode, time::Instant};

/// How long the kernel lets a writer wait for a lease, in seconds. The observer is
/// ended when it is silent for two thirds of that; where more programs than
/// emulated processors run, half a minute is not enough for one turn of it.
const BREAK_TIME: (&str, &str) = ("/proc/sys/fs/lease-break-time", "450");

/// A scenario's name and what it does.
type Scenario = (&'static str, fn(&[String]));

const SCENARIOS: &[Scenario] = &[
    ("apparmor", apparmor::run),
    ("cgroups", cgroups::run),
    ("end", ends::under_load),
    ("files", ends::many_files),
    ("inspect", inspect::run),
    ("leftover", ends::many),
    ("matrix", matrix::run),
    ("overwrite", overwrite::run),
    ("state", state::run),
    ("storm", storm::run),
    ("strict", strict::run),
    // No scenario: how some of them start programs.
    ("exec", pod::become_program),
];

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let found = arguments.split_first().and_then(|(name, rest)| {
        let scenario = SCENARIOS.iter().find(|(known, _)| known == name)?;
        Some((scenario, rest))
    });
    let Some(((name, run), rest)) = found else {
        let known: Vec<_> = SCENARIOS.iter().map(|(name, _)| *name).collect();
        eprintln!("guest: expected one of {}", known.join(", "));
        return ExitCode::FAILURE;
    };
    // Not for those that a scenario starts, as whom it likes.
    if *name != "exec" {
        let (setting, seconds) = BREAK_TIME;
        fs::write(setting, seconds).expect("a setting of the kernel");
    }
    let begin = Instant::now();
    run(rest);
    kernel_log::assert_clean();
    println!("✓ {name}, {:.1} s", begin.elapsed().as_secs_f64());
    ExitCode::SUCCESS
}
