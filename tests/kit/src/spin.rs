//! The spin fixture: it creates goroutines as fast as one P can, or at a rate; and it
//! does other things that are probed as fast as it can.

use std::{path::Path, process::Command};

use serde::Deserialize;

use crate::{
    paths::{GO, fixture},
    workload::Conversation,
};

/// What the program did in one round.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Round {
    goroutines: f64,
    ns: f64,
    cpu_ns: f64,
}

impl Round {
    /// Nanoseconds of the round.
    pub fn ns(self) -> f64 {
        self.ns
    }

    /// Nanoseconds of a goroutine.
    pub fn elapsed(self) -> f64 {
        self.ns / self.goroutines
    }

    /// Nanoseconds of CPU time of a goroutine.
    pub fn cpu(self) -> f64 {
        self.cpu_ns / self.goroutines
    }
}

/// The spin fixture as a process. Killed when dropped.
#[derive(Debug)]
pub struct Spin {
    /// Each line of milliseconds, loops of each goroutine and goroutines a
    /// second (none: as fast as it can) is answered by a round.
    pub talk: Conversation,
}

impl Spin {
    /// Starts it.
    pub fn start() -> Self {
        Self::of(&fixture("spin", GO, "default"))
    }

    /// Starts one of its builds.
    pub fn of(path: &Path) -> Self {
        Self::by(Command::new(path))
    }

    fn by(command: Command) -> Self {
        let mut talk = Conversation::start(command);
        talk.hear();
        Self { talk }
    }

    /// Has it make goroutines for some milliseconds, as fast as it can.
    pub fn round(&mut self, milliseconds: u32, loops: u32) -> Round {
        let line = self.talk.ask(&format!("{milliseconds} {loops}"));
        serde_json::from_str(&line).expect("spin's round")
    }

    /// Nanoseconds of CPU time of a goroutine, the best of some short rounds: whatever
    /// else runs on the machine takes its time, and hardly any of this.
    pub fn best(&mut self, rounds: u32) -> f64 {
        (0..rounds)
            .map(|_| self.round(200, 0).cpu())
            .fold(f64::INFINITY, f64::min)
    }
}

/// Something that is done as fast as possible.
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    /// Of what: `goroutines`, `stops` of the world, or `collections`.
    pub of: &'static str,
    /// GOMAXPROCS: it is on each of them.
    pub processors: u32,
    /// How long it lasts.
    pub milliseconds: u32,
}

impl Storm {
    fn command(&self, path: &Path) -> Command {
        let mut command = Command::new(path);
        command.env("GOMAXPROCS", self.processors.to_string());
        command
    }

    /// Runs one of spin's builds that storms from its first instruction on; how many it
    /// had made at each 10 milliseconds.
    pub fn run(&self, path: &Path) -> Vec<f64> {
        let output = self
            .command(path)
            .args([&self.milliseconds.to_string(), self.of])
            .output()
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(output.status.success(), "{}: {output:?}", path.display());
        numbers(&String::from_utf8_lossy(&output.stdout))
    }

    /// Starts one that waits for its storm.
    pub fn wait(&self, path: &Path) -> Spin {
        Spin::by(self.command(path))
    }

    /// Has one that waited storm, as [`Self::run`].
    pub fn begin(&self, spin: &mut Spin) -> Vec<f64> {
        let line = format!("storm {} {}", self.milliseconds, self.of);
        numbers(&spin.talk.ask(&line))
    }
}

fn numbers(line: &str) -> Vec<f64> {
    line.split_whitespace()
        .map(|number| number.parse().unwrap_or_else(|e| panic!("{number}: {e}")))
        .collect()
}
