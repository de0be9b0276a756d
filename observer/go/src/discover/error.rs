//! Why a process could not be looked at.

use std::{io, path::PathBuf};

use rustix::io::Errno;

/// Why a process could not be looked at. Processes come and go while they are
/// read, so most of these are everyday and none concerns another process.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// It ended, or never was.
    #[error("process {0} is gone")]
    Gone(u32),
    /// It ended and its parent has not collected it; nothing of it runs.
    #[error("process {0} has ended and waits for its parent to collect it")]
    Zombie(u32),
    /// A kernel thread: it runs no file.
    #[error("process {0} is a kernel thread and runs no program")]
    NotAProgram(u32),
    /// The id is that of a thread.
    #[error("{pid} is a thread of process {leader}: look at {leader} instead")]
    Thread {
        /// The thread.
        pid: u32,
        /// The process it belongs to.
        leader: u32,
    },
    /// It was to be looked at further, and is not what it was.
    #[error("process {0} started another program meanwhile")]
    Replaced(u32),
    /// The kernel forbids it.
    #[error(
        "cannot read {}: {source}; the observer needs CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, \
         and must not run under a user namespace, a `hidepid` or a profile of AppArmor or SELinux \
         that hides the process",
        path.display()
    )]
    Denied {
        /// The process.
        pid: u32,
        /// What was to be read.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Reading failed otherwise.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel's text was not as proc(5) describes it.
    #[error("{} does not read as proc(5) describes it: {problem}", path.display())]
    Malformed {
        /// What was read.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl DiscoverError {
    /// Whether the process has simply ended: nothing to report.
    pub fn is_ended(&self) -> bool {
        matches!(self, Self::Gone(_) | Self::Zombie(_))
    }

    /// A bounded word for a metric's label.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Gone(_) | Self::Zombie(_) => "ended",
            Self::NotAProgram(_) => "kernel_thread",
            Self::Thread { .. } => "thread",
            Self::Replaced(_) => "replaced",
            Self::Denied { .. } => "permission_denied",
            Self::Read { .. } => "read_failed",
            Self::Malformed { .. } => "malformed",
        }
    }

    /// What a failed system call on `/proc/PID/name` means.
    pub(super) fn of(pid: u32, name: &str, errno: Errno) -> Self {
        let path = PathBuf::from(format!("/proc/{pid}/{name}"));
        match errno {
            // ESRCH: the file was opened while the task lived.
            Errno::NOENT | Errno::SRCH => Self::Gone(pid),
            Errno::ACCESS | Errno::PERM => Self::Denied {
                pid,
                path,
                source: errno.into(),
            },
            _ => Self::Read {
                path,
                source: errno.into(),
            },
        }
    }
}
