//! One process's directory in /proc, held open.

use std::{
    fs::File,
    io::{Read, Take},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
};

use procfs::{FromRead, process::Stat};
use rustix::{
    fs::{Dir, Mode, OFlags},
    io::Errno,
};

use super::DiscoverError;

/// `PF_KTHREAD` of the kernel's sched.h, field 9 of `/proc/PID/stat`.
const PF_KTHREAD: u32 = 0x0020_0000;

/// No file read here is longer unless someone makes it so: cgroup paths and
/// supplementary groups are in a user's hands.
const MAX_FILE_BYTES: u64 = 256 << 10;

/// A directory of /proc that stands for one task. Held open it stands for that
/// task alone: when the task ends, reads through it fail, also where its id
/// was given to another one meanwhile. So what is read through one `ProcDir`
/// belongs together and no start time need be compared before and after.
pub(super) struct ProcDir {
    pid: u32,
    directory: OwnedFd,
}

impl ProcDir {
    pub(super) fn open(pid: u32) -> Result<Self, DiscoverError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(format!("/proc/{pid}"), flags, Mode::empty())
            .map_err(|errno| DiscoverError::of(pid, "", errno))?;
        Ok(Self { pid, directory })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn error(&self, name: &str, errno: Errno) -> DiscoverError {
        DiscoverError::of(self.pid, name, errno)
    }

    /// The beginning of a file, `most` bytes of it.
    pub(super) fn stream(&self, name: &str, most: u64) -> Result<Take<File>, Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory, name, flags, Mode::empty())?;
        Ok(File::from(file).take(most))
    }

    /// The whole of a small file.
    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>, Errno> {
        let mut text = Vec::with_capacity(2048);
        match self.stream(name, MAX_FILE_BYTES)?.read_to_end(&mut text) {
            Ok(_) => Ok(text),
            Err(error) => Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
        }
    }

    pub(super) fn stat(&self) -> Result<Stat, DiscoverError> {
        let text = self
            .read("stat")
            .map_err(|errno| self.error("stat", errno))?;
        Stat::from_read(text.as_slice()).map_err(|error| DiscoverError::Malformed {
            path: PathBuf::from(format!("/proc/{}/stat", self.pid)),
            problem: error.to_string(),
        })
    }

    /// The ids of its threads.
    pub(super) fn threads(&self) -> Result<Vec<u32>, DiscoverError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let tasks = rustix::fs::openat(&self.directory, "task", flags, Mode::empty())
            .and_then(Dir::new)
            .map_err(|errno| self.error("task", errno))?;
        let mut threads = Vec::new();
        for task in tasks {
            let task = task.map_err(|errno| self.error("task", errno))?;
            let name = task.file_name().to_str().unwrap_or("");
            threads.extend(name.parse::<u32>());
        }
        Ok(threads)
    }

    /// A thread that still runs in a process whose first thread has ended:
    /// the first one's `exe` and `cgroup` lead nowhere then.
    pub(super) fn living_thread(&self) -> Result<Option<Self>, DiscoverError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        for tid in self.threads()? {
            if tid == self.pid {
                continue;
            }
            let name = format!("task/{tid}");
            // One that has just ended is passed over.
            if let Ok(directory) = rustix::fs::openat(&self.directory, name, flags, Mode::empty()) {
                return Ok(Some(Self {
                    pid: tid,
                    directory,
                }));
            }
        }
        Ok(None)
    }
}

impl AsFd for ProcDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// Whether nothing of the process runs any more.
pub(super) fn ended(stat: &Stat) -> bool {
    // The first thread of a process may end before the others; it stays a
    // zombie until they have ended too, and is counted among `num_threads`.
    first_thread_ended(stat) && stat.num_threads <= 1
}

pub(super) fn first_thread_ended(stat: &Stat) -> bool {
    matches!(stat.state, 'Z' | 'X' | 'x')
}

pub(super) fn is_kernel_thread(stat: &Stat) -> bool {
    stat.flags & PF_KTHREAD != 0
}
