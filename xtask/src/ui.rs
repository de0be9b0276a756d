//! One line a step: what runs, what it does now, how long it took.

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader, IsTerminal as _, Read, Write as _},
    process::{Command, ExitStatus, Stdio},
    sync::{
        Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail};

/// Where there is no terminal to redraw, a line this often says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How much of a failed command's output its error carries.
const TAIL: usize = 120;

/// A step that runs.
#[derive(Debug)]
pub(crate) struct Step {
    name: String,
    now: Mutex<String>,
    started: Instant,
    terminal: bool,
}

/// Runs a step; what `work` leaves with [`Step::note`] stands in its last line.
pub(crate) fn step<T>(name: &str, work: impl FnOnce(&Step) -> Result<T>) -> Result<T> {
    let step = Step {
        name: name.to_owned(),
        now: Mutex::default(),
        started: Instant::now(),
        terminal: std::io::stderr().is_terminal(),
    };
    let result = thread::scope(|scope| {
        let (alive, ended) = mpsc::channel::<()>();
        let running = &step;
        scope.spawn(move || running.tick(&ended));
        // Moved in, so that the ticker ends also when `work` panics.
        let alive = alive;
        let result = work(&step);
        drop(alive);
        result
    });
    let took = seconds(step.started.elapsed());
    if result.is_ok() {
        step.say(&format!("✓ {}", step.line(&took)));
    } else {
        step.note("");
        step.say(&format!("✗ {}", step.line(&took)));
    }
    result
}

impl Step {
    /// Says what the step does now.
    pub(crate) fn note(&self, text: impl Into<String>) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = text.into();
    }

    /// Runs a command; its last line is the step's note, and all of it is in
    /// the error if it fails.
    pub(crate) fn run(&self, command: &mut Command) -> Result<()> {
        self.capture(command, Show::Condensed).map(drop)
    }

    /// Runs a command and shows its output as it comes.
    pub(crate) fn stream(&self, command: &mut Command) -> Result<()> {
        self.capture(command, Show::All).map(drop)
    }

    /// Runs a command and shows its output as it comes; returns it, however the
    /// command ended.
    pub(crate) fn transcript(&self, command: &mut Command) -> Result<(Result<()>, Vec<String>)> {
        self.ended(command, Show::All)
    }

    /// The same, and shows no more of it than [`Self::run`] does.
    pub(crate) fn outcome(&self, command: &mut Command) -> Result<(Result<()>, Vec<String>)> {
        self.ended(command, Show::Condensed)
    }

    fn ended(&self, command: &mut Command, show: Show) -> Result<(Result<()>, Vec<String>)> {
        let ran = self.follow_all(command, show)?;
        let result = if ran.status.success() {
            Ok(())
        } else {
            Err(anyhow!("`{}` failed: {}", ran.said, ran.status))
        };
        Ok((result, ran.all))
    }

    /// As [`Self::run`], and returns the standard output.
    pub(crate) fn output(&self, command: &mut Command) -> Result<String> {
        self.capture(command, Show::Condensed)
    }

    fn capture(&self, command: &mut Command, show: Show) -> Result<String> {
        let ran = self.follow_all(command, show)?;
        if ran.status.success() {
            return Ok(ran.out);
        }
        let mut message = format!("`{}` failed: {}", ran.said, ran.status);
        if matches!(show, Show::Condensed) {
            for line in &ran.all[ran.all.len().saturating_sub(TAIL)..] {
                let _ = write!(message, "\n    {line}");
            }
        }
        bail!(message)
    }

    fn follow_all(&self, command: &mut Command, show: Show) -> Result<Ran> {
        let said = describe(command);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start `{said}`"))?;
        let all = Mutex::new(Vec::new());
        let mut out = String::new();
        thread::scope(|scope| {
            let stderr = child.stderr.take();
            scope.spawn(|| stderr.map(|pipe| self.follow(pipe, &all, show, None)));
            if let Some(pipe) = child.stdout.take() {
                self.follow(pipe, &all, show, Some(&mut out));
            }
        });
        let status = child
            .wait()
            .with_context(|| format!("cannot wait for `{said}`"))?;
        self.note("");
        let all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Ran {
            said,
            status,
            out,
            all,
        })
    }

    fn follow(
        &self,
        pipe: impl Read,
        all: &Mutex<Vec<String>>,
        show: Show,
        mut out: Option<&mut String>,
    ) {
        let mut reader = BufReader::new(pipe);
        let mut bytes = Vec::new();
        while reader
            .read_until(b'\n', &mut bytes)
            .is_ok_and(|read| read > 0)
        {
            let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            bytes.clear();
            if let Some(out) = out.as_deref_mut() {
                out.push_str(&line);
                out.push('\n');
            }
            match show {
                Show::All => self.say(&line),
                Show::Condensed if !line.trim().is_empty() => self.note(line.trim()),
                Show::Condensed => {}
            }
            all.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(line);
        }
    }

    fn line(&self, took: &str) -> String {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = self.name.clone();
        if !now.is_empty() {
            line = format!("{line} · {now}");
        }
        if self.terminal && line.chars().count() > 90 {
            line = line.chars().take(89).chain(['…']).collect();
        }
        format!("{line} ({took})")
    }

    fn tick(&self, ended: &mpsc::Receiver<()>) {
        let pause = if self.terminal {
            Duration::from_millis(200)
        } else {
            HEARTBEAT
        };
        while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            let line = self.line(&seconds(self.started.elapsed()));
            let mut err = std::io::stderr().lock();
            let _ = if self.terminal {
                write!(err, "\r\x1b[K… {line}").and_then(|()| err.flush())
            } else {
                writeln!(err, "… {line}")
            };
        }
    }

    /// Shows a line that stays.
    pub(crate) fn line_out(&self, line: &str) {
        self.say(line);
    }

    fn say(&self, line: &str) {
        let mut err = std::io::stderr().lock();
        let clear = if self.terminal { "\r\x1b[K" } else { "" };
        let _ = writeln!(err, "{clear}{line}");
    }
}

/// A command that has ended.
struct Ran {
    /// As one would type it.
    said: String,
    status: ExitStatus,
    out: String,
    /// The lines of both outputs, as they came.
    all: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
enum Show {
    Condensed,
    All,
}

/// A command as one would type it.
pub(crate) fn describe(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| {
            let word = word.to_string_lossy();
            if word.is_empty() || word.contains([' ', '"', '\'', '$']) {
                format!("'{}'", word.replace('\'', r"'\''"))
            } else {
                word.into_owned()
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// A duration to read: `0.4 s`, `3 min 05 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    if duration.as_secs() < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        let whole = duration.as_secs();
        format!("{} min {:02} s", whole / 60, whole % 60)
    }
}
