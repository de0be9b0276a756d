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

    /// Has it make goroutines for some milliseconds, as fast as it can.
    pub fn round(&mut self, milliseconds: u32, loops: u32) -> Round {
        let line = self.talk.ask(&format!("{milliseconds} {loops}"));
        serde_json::from_str(&line).expect("spin's round")
    }

    /// Nanoseconds of a goroutine, the best of some short rounds.
    pub fn best(&mut self, rounds: u32) -> f64 {
        (0..rounds)
            .map(|_| self.round(200, 0).elapsed())
            .fold(f64::INFINITY, f64::min)
    }
}
