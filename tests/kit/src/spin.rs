//! The spin fixture: it creates goroutines as fast as one P can, or at a rate.

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
        let mut talk = Conversation::start(Command::new(path));
        talk.hear();
        Self { talk }
    }

    /// Runs one of its builds that makes goroutines as fast as it can from its first
    /// instruction on, for some milliseconds; how many it had made at each 10
    /// milliseconds.
    pub fn storm(path: &Path, milliseconds: u32) -> Vec<f64> {
        let output = Command::new(path)
            .arg(milliseconds.to_string())
            .output()
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(output.status.success(), "{}: {output:?}", path.display());
        numbers(&String::from_utf8_lossy(&output.stdout))
    }

    /// The same, of this one, which may have done something else before.
    pub fn storm_now(&mut self, milliseconds: u32) -> Vec<f64> {
        numbers(&self.talk.ask(&format!("storm {milliseconds}")))
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

fn numbers(line: &str) -> Vec<f64> {
    line.split_whitespace()
        .map(|number| number.parse().unwrap_or_else(|e| panic!("{number}: {e}")))
        .collect()
}
