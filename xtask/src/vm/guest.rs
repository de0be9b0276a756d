//! One virtual machine, from its start to its end.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use super::{
    machine::Machine,
    results::{self, Said},
};
use crate::{cache, workspace::Workspace};

/// Lines of the console that an error shows.
const TAIL: usize = 150;
/// Until the machine is off once its command has ended.
const OFF: Duration = Duration::from_secs(20);

/// What a virtual machine is made of.
#[derive(Debug)]
pub(crate) struct Settings<'a> {
    pub(crate) machine: &'static Machine,
    /// Another processor than the machine's.
    pub(crate) cpu: Option<&'a str>,
    pub(crate) kernel: &'a Path,
    pub(crate) append: &'a str,
    pub(crate) cpus: u32,
    /// MiB.
    pub(crate) memory: u32,
    /// When it is stopped.
    pub(crate) deadline: Instant,
}

/// How a guest ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Its command did, with this code.
    Code(i32),
    /// The machine did before its command began.
    NotBegun,
    /// The machine did, and its command had not.
    Off,
    /// It was stopped.
    Late,
}

/// A directory for one guest's files. Removed when dropped, but for its console.
#[derive(Debug)]
pub(crate) struct GuestFolder(PathBuf);

impl GuestFolder {
    /// Empties and takes a directory of the cache. Two commands at a time want
    /// two names.
    pub(crate) fn new(workspace: &Workspace, name: &str) -> Result<Self> {
        let name = format!("{name}-{}", std::process::id());
        let path = workspace.cache.join("vm").join(name);
        cache::remove_tree(&path)?;
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where the guest's files are written.
    pub(crate) fn archive(&self) -> PathBuf {
        self.0.join("initramfs")
    }

    fn console(&self) -> PathBuf {
        self.0.join("console")
    }

    /// The end of what the kernel has said.
    pub(crate) fn tail(&self) -> String {
        let text = fs::read(self.console()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}

impl Drop for GuestFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Boots a machine and hands over each line of its command's output.
pub(crate) fn boot(
    workspace: &Workspace,
    place: &GuestFolder,
    settings: &Settings<'_>,
    mut heard: impl FnMut(&str),
) -> Result<End> {
    let machine = settings.machine;
    let mut command = workspace.command(machine.qemu);
    command
        // Nested virtualization is seldom there, and emulation everywhere.
        .args(["-accel", "tcg,thread=multi"])
        .args(machine.arguments)
        .args(["-cpu", settings.cpu.unwrap_or(machine.cpu)])
        .args(["-m", &settings.memory.to_string()])
        .args(["-smp", &settings.cpus.to_string()])
        .args(["-nodefaults", "-display", "none", "-no-reboot"])
        .args(machine.lines(&place.console()))
        .arg("-kernel")
        .arg(settings.kernel)
        .arg("-initrd")
        .arg(place.archive())
        .arg("-append")
        .arg(command_line(machine, settings.append))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    let mut child = command.spawn().with_context(|| {
        format!(
            "cannot start {0}: install it, or run `cargo xtask setup`",
            machine.qemu
        )
    })?;
    let output = child.stdout.take().context("it has no output")?;
    let (sender, lines) = channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        while reader
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            let said = results::parse(&String::from_utf8_lossy(&line));
            line.clear();
            if sender.send(said).is_err() {
                return;
            }
        }
    });
    let end = follow(&lines, settings.deadline, &mut heard);
    if matches!(end, End::Code(_)) {
        await_off(&mut child);
    }
    let _ = child.kill();
    child.wait().context("cannot wait for the machine")?;
    Ok(end)
}

/// Panics and oopses end the machine at once: `-no-reboot` makes a restart an
/// end, and what was said before is on the console.
fn command_line(machine: &Machine, more: &str) -> String {
    let console = machine.console;
    format!("console={console} quiet loglevel=5 oops=panic panic=-1 {more}")
}

fn follow(lines: &Receiver<Said>, deadline: Instant, heard: &mut impl FnMut(&str)) -> End {
    let mut begun = false;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match lines.recv_timeout(left) {
            Ok(Said::Begin) => begun = true,
            // Of the machine, where both have one line.
            Ok(Said::Line(_)) if !begun => {}
            Ok(Said::Line(line)) => heard(&line),
            Ok(Said::End(code)) => return End::Code(code),
            Err(RecvTimeoutError::Disconnected) if begun => return End::Off,
            Err(RecvTimeoutError::Disconnected) => return End::NotBegun,
            Err(RecvTimeoutError::Timeout) => return End::Late,
        }
    }
}

fn await_off(child: &mut Child) {
    let end = Instant::now() + OFF;
    while Instant::now() < end && matches!(child.try_wait(), Ok(None)) {
        thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc::channel,
        time::{Duration, Instant},
    };

    use super::{End, follow};
    use crate::vm::results::parse;

    fn end_of(lines: &[&str], hangs: bool) -> (End, Vec<String>) {
        let (sender, receiver) = channel();
        for line in lines {
            sender.send(parse(line)).unwrap();
        }
        let sender = hangs.then_some(sender);
        let mut heard = Vec::new();
        let deadline = Instant::now() + Duration::from_millis(20);
        let end = follow(&receiver, deadline, &mut |line| heard.push(line.to_owned()));
        drop(sender);
        (end, heard)
    }

    #[test]
    fn a_guest_without_an_end_has_none() {
        assert_eq!(
            end_of(&["VM-BEGIN", "a", "VM-END 3", "b"], true),
            (End::Code(3), vec!["a".into()])
        );
        assert_eq!(
            end_of(&["VM-BEGIN", "a"], false),
            (End::Off, vec!["a".into()])
        );
        assert_eq!(end_of(&["VM-BEGIN"], true), (End::Late, Vec::new()));
    }

    #[test]
    fn what_the_machine_says_before_is_not_the_commands() {
        assert_eq!(end_of(&["a"], false), (End::NotBegun, Vec::new()));
        assert_eq!(
            end_of(&["a", "VM-BEGIN", "b", "VM-END 0"], true),
            (End::Code(0), vec!["b".into()])
        );
    }
}
