//! Programs that live shortly (`short`), and one that starts many of them
//! (`parent`).

use std::{
    io::Read as _,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;

use crate::paths::{GO, fixture};

/// What `short` says of itself, and `parent` of its children.
#[derive(Deserialize)]
pub struct Truth {
    /// How many there were.
    #[serde(default)]
    pub children: u64,
    /// Goroutines created.
    pub created: u64,
    /// Goroutines that exited.
    pub exited: u64,
}

/// A program and those that it started; all of them are ended when dropped, and
/// a `parent` ends after its children.
pub struct Family(Child);

impl Family {
    /// One `short` that lives for the length of any test.
    pub fn standing() -> Self {
        Self::start(Command::new(fixture("short", GO, "default")).args(["1", "1h"]))
    }

    /// A `parent` with so many children, so many of them at a time, and what
    /// each is told.
    pub fn of(children: u32, parallel: u32, told: [&str; 2]) -> Self {
        let mut parent = Command::new(fixture("parent", GO, "default"));
        parent
            .args([children, parallel].map(|number| number.to_string()))
            .arg(fixture("short", GO, "default"))
            .args(told);
        Self::start(&mut parent)
    }

    fn start(command: &mut Command) -> Self {
        let command = command.stdout(Stdio::piped()).process_group(0);
        Self(command.spawn().expect("a Go program"))
    }

    /// The process that was started first.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Whether that one has ended.
    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("its status").is_some()
    }

    /// What it says at its end.
    pub fn truth(mut self) -> Truth {
        let mut said = String::new();
        let output = self.0.stdout.as_mut().expect("its output is a pipe");
        output.read_to_string(&mut said).expect("its output");
        serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"))
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        // Once it has been waited for, its number may be another's.
        if let (Ok(None), Some(group)) =
            (self.0.try_wait(), Pid::from_raw(self.0.id().cast_signed()))
        {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.0.wait();
    }
}
