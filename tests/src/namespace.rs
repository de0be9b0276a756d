//! A pid namespace beside the machine's, with a /proc of its own, as a container has.

use std::{
    ffi::OsStr,
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// A pid namespace. With its first process everything in it is killed, when dropped.
#[derive(Debug)]
pub struct PidNamespace {
    outer: Child,
    /// Its first process, as the machine numbers it.
    first: u32,
}

impl PidNamespace {
    /// Makes one that does nothing yet.
    pub fn start() -> Self {
        let outer = Command::new("unshare")
            .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["sleep", "infinity"])
            .stdin(Stdio::null())
            .spawn()
            .expect("unshare");
        let first = wait::until("a pid namespace", Duration::from_secs(10), || {
            // Until it has become `sleep`, its /proc is not mounted.
            let first = *children(outer.id()).first()?;
            let comm = fs::read_to_string(format!("/proc/{first}/comm")).ok()?;
            (comm.trim() == "sleep").then_some(first)
        });
        Self { outer, first }
    }

    /// A command that runs a program in it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.enter(&["--pid", "--mount"], program.as_ref())
    }

    /// A command that runs a program in a further namespace below it.
    pub fn below(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.command("unshare");
        command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
        command.arg(program);
        command
    }

    /// A command that runs a program in it, which sees the machine's /proc.
    pub fn under_proc_of_machine(&self, program: impl AsRef<OsStr>) -> Command {
        self.enter(&["--pid"], program.as_ref())
    }

    fn enter(&self, namespaces: &[&str], program: &OsStr) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.first));
        command.args(namespaces).arg("--").arg(program);
        command
    }

    /// The number here of the program that a command of this one's ended up in;
    /// `outer` is that command's process.
    pub fn number(&self, outer: u32) -> u32 {
        let mut pid = outer;
        while let Some(child) = children(pid).first() {
            pid = *child;
        }
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        // The machine's comes first, then this one's.
        let number = numbers.and_then(|numbers| numbers.split_whitespace().nth(1)?.parse().ok());
        number.unwrap_or_else(|| panic!("not in the namespace: {status}"))
    }

    /// The name of what runs under a number, as /proc shows it here.
    pub fn comm(&self, number: u32) -> String {
        let path = format!("/proc/{}/root/proc/{number}/comm", self.first);
        let comm = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        comm.trim().to_owned()
    }
}

impl Drop for PidNamespace {
    fn drop(&mut self) {
        // It is waited for once all others in it are gone.
        if let Some(first) = Pid::from_raw(self.first.cast_signed()) {
            let _ = kill_process(first, Signal::KILL);
        }
        let _ = self.outer.wait();
    }
}

fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let list = list.unwrap_or_default();
    list.split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}
