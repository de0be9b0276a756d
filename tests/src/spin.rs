//! The spin fixture: it creates goroutines as fast as one P can.

use std::process::Command;

use serde::Deserialize;

use crate::{
    paths::{GO, fixture},
    workload::Conversation,
};

/// The spin fixture as a process. Killed when dropped.
#[derive(Debug)]
pub struct Spin {
    /// Each line of milliseconds is answered by a round.
    pub talk: Conversation,
}

impl Spin {
    /// Starts it.
    pub fn start() -> Self {
        let mut talk = Conversation::start(Command::new(fixture("spin", GO, "default")));
        talk.hear();
        Self { talk }
    }

    /// Nanoseconds per goroutine in one round.
    pub fn round(&mut self, milliseconds: u32) -> f64 {
        #[derive(Deserialize)]
        struct Round {
            goroutines: f64,
            ns: f64,
        }
        let line = self.talk.ask(&milliseconds.to_string());
        let round: Round = serde_json::from_str(&line).expect("spin's round");
        round.ns / round.goroutines
    }

    /// The same, the best of some short rounds.
    pub fn best(&mut self, rounds: u32) -> f64 {
        (0..rounds)
            .map(|_| self.round(200))
            .fold(f64::INFINITY, f64::min)
    }
}
