//! The workload fixture as a process that is told what to do.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use serde::Deserialize;

use crate::wait;

/// What the program knows of itself.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// As `runtime.NumGoroutine`.
    pub goroutines: u64,
    /// All that ever were, the runtime's own included.
    pub created: u64,
    /// All that ended.
    pub exited: u64,
    /// The runtime's own, of which none ends.
    pub system: u64,
    /// The runtime's own count of `created` (1.26+).
    pub runtime_created: Option<u64>,
    /// `MemStats.NumGC`.
    pub num_gc: u64,
    /// `MemStats.NumForcedGC`.
    pub num_forced_gc: u64,
    /// `MemStats.PauseTotalNs`.
    pub pause_total_ns: u64,
    /// Observations in the runtime's histograms of stops.
    pub histograms: BTreeMap<String, u64>,
    /// Stops of the world other than the collector's, by reason.
    pub stops: BTreeMap<String, u64>,
}

#[derive(Debug, Deserialize)]
struct Hello {
    pid: u32,
    version: String,
}

#[derive(Debug, Deserialize)]
struct Answer {
    error: Option<String>,
    report: Option<Report>,
}

/// A program that answers each line with a line. Killed when dropped.
#[derive(Debug)]
pub struct Conversation {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Conversation {
    /// Starts it.
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            output
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Self {
            child,
            input,
            lines,
        }
    }

    /// Sends a line, with its end in the same write: a program that executes another
    /// at what it has read so far would leave the end to that one.
    pub fn say(&mut self, line: &str) {
        self.send(&format!("{line}\n"));
    }

    /// Sends exactly this.
    pub fn send(&mut self, text: &str) {
        self.input
            .write_all(text.as_bytes())
            .unwrap_or_else(|e| panic!("{text}: {e}"));
    }

    /// Waits for the next line.
    pub fn hear(&mut self) -> String {
        self.lines
            .recv_timeout(wait::patient(Duration::from_secs(60)))
            .unwrap_or_else(|e| panic!("no answer ({e}); the program: {:?}", self.child.try_wait()))
    }

    /// Sends a line and waits for the answer.
    pub fn ask(&mut self, line: &str) -> String {
        self.say(line);
        self.hear()
    }

    /// Its process id, as this process sees it.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("the program's status")
            .is_none()
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The workload fixture.
#[derive(Debug)]
pub struct Workload {
    /// Its process id, as it sees it itself.
    pub pid: u32,
    /// As `runtime.Version()`.
    pub version: String,
    talk: Conversation,
}

impl Workload {
    /// Starts a build of it.
    pub fn start(path: &Path) -> Self {
        Self::start_as(Command::new(path))
    }

    /// Starts it by a command that ends up in it.
    pub fn start_as(command: Command) -> Self {
        let mut talk = Conversation::start(command);
        let Hello { pid, version } = read(&talk.hear());
        Self { pid, version, talk }
    }

    /// Has it do something, and waits until that is done.
    pub fn run(&mut self, command: &str) {
        self.begin(command);
        self.finish(command);
    }

    /// Has it do something once it has done what it was told before.
    pub fn begin(&mut self, command: &str) {
        self.talk.say(command);
    }

    /// Waits until the first of what was begun is done.
    pub fn finish(&mut self, command: &str) {
        let answer: Answer = read(&self.talk.hear());
        assert!(
            answer.error.is_none(),
            "{} {command}: {answer:?}",
            self.version
        );
    }

    /// Replaces the program by another, which must be a workload too.
    pub fn exec(&mut self, path: &Path) {
        let Hello { pid, version } = read(&self.talk.ask(&format!("exec {}", path.display())));
        assert_eq!(pid, self.pid, "exec keeps the process");
        self.version = version;
    }

    /// What it knows of itself. Nothing goes on in it until the next command.
    pub fn report(&mut self) -> Report {
        let answer: Answer = read(&self.talk.ask("report"));
        let report = answer
            .report
            .unwrap_or_else(|| panic!("no report: {:?}", answer.error));
        if let Some(runtime) = report.runtime_created {
            assert_eq!(
                report.created, runtime,
                "{}'s two counts of itself",
                self.version
            );
        }
        report
    }

    /// 22 for go1.22.12.
    pub fn minor(&self) -> u32 {
        let minor = self
            .version
            .strip_prefix("go1.")
            .and_then(|v| v.split('.').next());
        minor
            .and_then(|m| m.parse().ok())
            .unwrap_or_else(|| panic!("version {}", self.version))
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.talk.runs()
    }

    /// Has it end, and says how it did.
    pub fn exit(mut self) -> ExitStatus {
        self.talk.say("exit");
        self.talk.child.wait().expect("the program's status")
    }

    /// Process id of what was started: the program, or the command that ended up in it.
    pub fn outer_pid(&self) -> u32 {
        self.talk.pid()
    }
}

fn read<'a, T: Deserialize<'a>>(line: &'a str) -> T {
    serde_json::from_str(line).unwrap_or_else(|e| panic!("answer {line:?}: {e}"))
}
