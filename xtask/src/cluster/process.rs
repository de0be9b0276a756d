//! Components as processes: found again by pid and start time, stopped by pid only.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::layout::Cluster;

const POLL: Duration = Duration::from_millis(50);
/// What is still there after SIGKILL hangs in the kernel.
const AFTER_KILL: Duration = Duration::from_secs(10);

/// A process that cannot be mistaken for a later one with its pid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pid: i32,
    /// Clock ticks from boot to its start.
    pub(super) start: u64,
    pub(super) boot: String,
}

impl Process {
    pub(super) fn of(pid: i32) -> Option<Self> {
        let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (state, start) = parse_stat(&line)?;
        if matches!(state, 'Z' | 'X') {
            return None;
        }
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(Self {
            pid,
            start,
            boot: boot.trim().to_owned(),
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        Some(Self {
            pid: words.next()?.parse().ok()?,
            start: words.next()?.parse().ok()?,
            boot: words.next()?.to_owned(),
        })
    }

    pub(super) fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    fn signal(&self, signal: Signal) {
        if let (true, Some(pid)) = (self.is_alive(), Pid::from_raw(self.pid)) {
            // It may just have ended, which is what is wanted.
            kill_process(pid, signal).ok();
        }
    }

    fn ends_within(&self, limit: Duration) -> bool {
        let start = Instant::now();
        while self.is_alive() {
            if start.elapsed() > limit {
                return false;
            }
            thread::sleep(POLL);
        }
        true
    }

    /// SIGTERM, and SIGKILL if that does not help.
    pub(super) fn stop(&self, patience: Duration) -> Result<()> {
        self.signal(Signal::TERM);
        if self.ends_within(patience) {
            return Ok(());
        }
        self.kill()
    }

    /// SIGKILL, and waits for the end.
    pub(super) fn kill(&self) -> Result<()> {
        self.signal(Signal::KILL);
        if self.ends_within(AFTER_KILL) {
            return Ok(());
        }
        bail!(
            "process {} is still there {} s after SIGKILL: it hangs in the kernel, see \
             /proc/{0}/stack",
            self.pid,
            AFTER_KILL.as_secs()
        )
    }
}

/// State and start time out of `/proc/PID/stat`; the name in it may hold
/// blanks and parentheses.
fn parse_stat(stat: &str) -> Option<(char, u64)> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?.chars().next()?;
    // `start` is field 22, the state field 3.
    Some((state, fields.nth(18)?.parse().ok()?))
}

/// The running process of a component.
pub(super) fn find(cluster: &Cluster<'_>, name: &str) -> Option<Process> {
    let text = fs::read_to_string(pid_file(cluster, name)).ok()?;
    Process::parse(&text).filter(Process::is_alive)
}

/// The pid of a component that runs.
pub(super) fn pid(cluster: &Cluster<'_>, name: &str) -> Option<i32> {
    find(cluster, name).map(|process| process.pid)
}

/// True if this component was ever started and not stopped.
pub(super) fn is_known(cluster: &Cluster<'_>, name: &str) -> bool {
    pid_file(cluster, name).exists()
}

/// Stops a component, if it runs.
pub(super) fn stop(cluster: &Cluster<'_>, name: &str, patience: Duration) -> Result<()> {
    if let Some(process) = find(cluster, name) {
        process
            .stop(patience)
            .with_context(|| format!("cannot stop {name}"))?;
    }
    fs::remove_file(pid_file(cluster, name)).ok();
    Ok(())
}

pub(super) fn pid_file(cluster: &Cluster<'_>, name: &str) -> std::path::PathBuf {
    cluster.path("pids").join(name)
}

#[cfg(test)]
mod tests {
    use super::{Process, parse_stat};

    #[test]
    fn a_name_does_not_shift_the_fields() {
        let after = "S 1 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 777 0 0";
        assert_eq!(parse_stat(&format!("7 (a) b) {after}")), Some(('S', 777)));
    }

    #[test]
    fn a_reused_pid_is_another_process() {
        let me = Process::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(me.is_alive());
        let text = format!("{} {} {}\n", me.pid, me.start, me.boot);
        assert_eq!(Process::parse(&text), Some(me.clone()));
        let earlier = Process {
            start: me.start - 1,
            ..me
        };
        assert!(!earlier.is_alive());
    }
}
