//! The state fixture as a process that is told what to do.

use std::{collections::BTreeMap, path::Path, process::Command};

use serde::Deserialize;

use crate::workload::Conversation;

/// What the program says of itself while it stands still.
#[derive(Debug, Deserialize)]
pub struct Report {
    /// As `runtime.Version()`.
    pub version: String,
    /// As `runtime.NumGoroutine()`.
    pub goroutines: u64,
    /// As `runtime.ThreadCreateProfile` counts.
    pub threads: u64,
    /// As `/gc/heap/goal:bytes`.
    pub goal: u64,
    /// As `runtime.GOMAXPROCS(0)`.
    pub gomaxprocs: u64,
    /// As `runtime.ReadMemStats`.
    pub memstats: MemStats,
    /// As `runtime/metrics`.
    pub metrics: BTreeMap<String, Metric>,
}

/// Of `runtime.MemStats`, what the observer gives.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "these are the runtime's own names")]
pub struct MemStats {
    pub heap_alloc: u64,
    pub heap_objects: u64,
    pub total_alloc: u64,
    pub mallocs: u64,
    pub frees: u64,
    #[serde(rename = "NextGC")]
    pub next_gc: u64,
    #[serde(rename = "LastGC")]
    pub last_gc: u64,
    #[serde(rename = "NumGC")]
    pub num_gc: u64,
    #[serde(rename = "NumForcedGC")]
    pub num_forced_gc: u64,
    pub pause_total_ns: u64,
    pub pause_ns: Vec<u64>,
    pub pause_end: Vec<u64>,
}

/// A metric of `runtime/metrics`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Metric {
    /// A number without a fraction, of either kind.
    Count(u64),
    /// Any other number.
    Number(f64),
    /// A histogram; the bounds are the bits of doubles in hexadecimal.
    Histogram {
        /// Per bucket.
        counts: Vec<u64>,
        /// One more.
        bounds: Vec<String>,
    },
}

impl Report {
    /// A metric that is a whole number, where this release has it.
    pub fn count(&self, name: &str) -> Option<u64> {
        match self.metrics.get(name)? {
            Metric::Count(n) => Some(*n),
            other => panic!("{name} is {other:?}"),
        }
    }

    /// A metric that is a number, where this release has it.
    pub fn number(&self, name: &str) -> Option<f64> {
        match self.metrics.get(name)? {
            Metric::Count(n) => Some(*n as f64),
            Metric::Number(n) => Some(*n),
            other @ Metric::Histogram { .. } => panic!("{name} is {other:?}"),
        }
    }

    /// A histogram's counts, where this release has it.
    pub fn counts(&self, name: &str) -> Option<&[u64]> {
        match self.metrics.get(name)? {
            Metric::Histogram { counts, .. } => Some(counts),
            other => panic!("{name} is {other:?}"),
        }
    }

    /// A histogram's bounds, where this release has it.
    pub fn bounds(&self, name: &str) -> Option<Vec<f64>> {
        let Metric::Histogram { bounds, .. } = self.metrics.get(name)? else {
            panic!("{name} is no histogram");
        };
        let bits = |text: &String| u64::from_str_radix(text, 16).expect("bits of a double");
        Some(bounds.iter().map(|b| f64::from_bits(bits(b))).collect())
    }
}

/// The state fixture. Killed when dropped.
#[derive(Debug)]
pub struct Program {
    /// Its process id.
    pub pid: u32,
    talk: Conversation,
}

impl Program {
    /// Starts a build of it.
    pub fn start(path: &Path) -> Self {
        Self::start_as(Command::new(path))
    }

    /// Starts it with an environment or the like.
    pub fn start_as(command: Command) -> Self {
        let mut talk = Conversation::start(command);
        let pid = ready(&talk.hear());
        Self { pid, talk }
    }

    /// Has it do what a letter stands for, and waits until that is done.
    pub fn obey(&mut self, letter: char) {
        self.talk.send(letter.encode_utf8(&mut [0; 4]));
        assert_eq!(self.talk.hear(), "done", "the answer to {letter}");
    }

    /// Has it do what a letter stands for, and does not wait.
    pub fn begin(&mut self, letter: char) {
        self.talk.send(letter.encode_utf8(&mut [0; 4]));
    }

    /// Has it execute itself anew.
    pub fn exec(&mut self) {
        self.talk.send("x");
        assert_eq!(ready(&self.talk.hear()), self.pid, "exec keeps the process");
    }

    /// What it says of itself. Saying so allocates, and is the last it does.
    pub fn report(&mut self) -> Report {
        let line = self.said();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("report {line:?}: {e}"))
    }

    /// The same, as it says it: JSON, with more than is compared.
    pub fn said(&mut self) -> String {
        self.talk.send("r");
        self.talk.hear()
    }
}

fn ready(line: &str) -> u32 {
    let pid = line.strip_prefix("ready ").and_then(|pid| pid.parse().ok());
    pid.unwrap_or_else(|| panic!("greeting {line:?}"))
}
