//! A process with a debugger on it, for tests.

use std::{
    fs::{self, File},
    io::ErrorKind,
    path::PathBuf,
    process::{Child, Command},
    ptr, thread,
    time::Duration,
};

use tempfile::TempDir;

use super::{Executable, FileId};

/// It runs a file of its own, sleeps, and is traced by the thread that started it.
/// Killed when dropped.
#[derive(Debug)]
pub struct Tracee {
    child: Child,
    path: PathBuf,
    /// What it runs.
    pub file: FileId,
    _directory: TempDir,
}

impl Tracee {
    /// Starts it.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("sleep");
        fs::copy("/bin/sleep", &path).expect("a copy");
        let child = loop {
            match Command::new(&path).arg("600").spawn() {
                // What another thread starts just now has the copy's descriptor up to
                // its own exec.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                    thread::sleep(Duration::from_millis(1));
                }
                started => break started.expect("it starts"),
            }
        };
        let file = File::open(&path).and_then(FileId::of_file);
        let tracee = Self {
            child,
            path,
            file: file.expect("its identity"),
            _directory: directory,
        };
        let none = ptr::null_mut::<libc::c_void>();
        // SAFETY: the request takes numbers only, and is about a child of this process.
        let seized = unsafe { libc::ptrace(libc::PTRACE_SEIZE, tracee.raw(), none, none) };
        assert_eq!(seized, 0, "{}", std::io::Error::last_os_error());
        tracee
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it runs, as a look at it tells.
    pub fn executable(&self) -> Executable {
        Executable {
            id: self.file,
            path: self.path.clone(),
            deleted: false,
            memfd: false,
        }
    }

    /// The debugger leaves it. To be called by the thread that started it.
    pub fn leave(&self) {
        let none = ptr::null_mut::<libc::c_void>();
        let pid = self.raw();
        // Only one that stands still can be left.
        // SAFETY: the request takes numbers only, and is about a child of this process.
        let stopped = unsafe { libc::ptrace(libc::PTRACE_INTERRUPT, pid, none, none) };
        assert_eq!(stopped, 0, "{}", std::io::Error::last_os_error());
        let mut status = 0;
        // SAFETY: the status is this function's own.
        let waited = unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) };
        assert_eq!(waited, pid, "{}", std::io::Error::last_os_error());
        // SAFETY: the request takes numbers only, and is about a child of this process.
        let left = unsafe { libc::ptrace(libc::PTRACE_DETACH, pid, none, none) };
        assert_eq!(left, 0, "{}", std::io::Error::last_os_error());
    }

    fn raw(&self) -> libc::pid_t {
        self.child.id().cast_signed()
    }
}

impl Drop for Tracee {
    fn drop(&mut self) {
        // One that has ended is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
