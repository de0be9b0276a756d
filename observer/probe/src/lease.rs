//! Leases on the files that carry probes.
//!
//! A probe stands on a file, at an offset: the kernel puts a breakpoint there into
//! every program that is started from the file, whatever the file holds by then.
//! Were another program written over the same file, the breakpoints would fall
//! into the midst of its instructions and destroy it. So the observer holds a read
//! lease on each such file. Whoever opens it for writing, or truncates it, waits in
//! the kernel until the lease is given back, and that is done once every probe is
//! gone. A file that is only executed or read is never held up, nor is one that
//! another is renamed over.
//!
//! With perf-event links the breakpoints outlast the links. There a lease that is
//! dropped is kept until they are gone: [`PendingLeases`].
//!
//! The kernel waits for the holder a limited time only (`fs.lease-break-time`, 45 s)
//! and then lets the writer in. See [`LeaseWatchdog`](super::lease_watchdog::LeaseWatchdog) for an observer
//! that cannot answer.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use rustix::{
    event::{EventfdFlags, eventfd},
    fs::{Mode, OFlags, open},
};

use super::pending_leases::PendingLeases;

/// A read lease, until it is dropped.
pub(super) struct Lease {
    file: Arc<File>,
    /// Who keeps it from then on, and which offsets it is kept for.
    after: Option<(PendingLeases, Vec<u64>)>,
}

impl Lease {
    /// Takes one on the file that `path` leads to. The kernel refuses where
    /// somebody has it open for writing, and where its file system has no leases.
    pub(super) fn take(path: &Path) -> io::Result<Self> {
        // NONBLOCK: nobody else's lease may hold the observer up.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = File::from(open(path, flags, Mode::empty())?);
        // SAFETY: a descriptor of this process and a command with a number.
        let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) };
        if result == 0 {
            Ok(Self {
                file: Arc::new(file),
                after: None,
            })
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// From now on it is given back only when no breakpoint stands at any of these
    /// offsets, however long ago it was dropped.
    pub(super) fn keep_by(&mut self, pending_leases: PendingLeases, sites: Vec<u64>) {
        self.after = Some((pending_leases, sites));
    }

    /// Whether somebody waits for it.
    pub(super) fn is_wanted(&self) -> bool {
        // SAFETY: a descriptor of this process and a command without argument.
        let kind = unsafe { libc::fcntl(self.fd(), libc::F_GETLEASE) };
        // While it is being broken the kernel tells what it is to become. An
        // error is none that a held lease can give; then nothing is certain.
        kind != libc::F_RDLCK
    }

    /// The file.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Its descriptor, below those of its file's links ([`order`](super::close_order)).
    pub(super) fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// What leads to the file, whatever has become of its path.
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.fd()))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some((pending_leases, sites)) = self.after.take() {
            pending_leases.hold(Arc::clone(&self.file), sites);
        }
    }
}

/// Becomes readable when somebody waits for a lease.
#[derive(Clone)]
pub(super) struct Wanted(Arc<OwnedFd>);

impl Wanted {
    /// The kernel tells it by a signal that would end the process. It is to be
    /// caught before the first lease is taken, and stays so.
    pub(super) fn watch() -> io::Result<Self> {
        static WATCH: OnceLock<Wanted> = OnceLock::new();
        if let Some(watch) = WATCH.get() {
            return Ok(watch.clone());
        }
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let watch = Self(Arc::new(wake));
        let to_handler = watch.clone();
        let handler = move || {
            // Full already is as good.
            let _ = rustix::io::write(&*to_handler.0, &1u64.to_ne_bytes());
        };
        // SAFETY: the handler makes one system call, which is allowed in a
        // signal's handler, and rustix leaves `errno` alone.
        unsafe { signal_hook_registry::register(libc::SIGIO, handler) }?;
        Ok(WATCH.get_or_init(|| watch).clone())
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Whether it told anything since this was last asked.
    pub(super) fn told(&self) -> bool {
        let mut count = [0; 8];
        // An error says that there is nothing to read.
        rustix::io::read(&*self.0, &mut count).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::OpenOptions, thread, time::Duration};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::{Lease, Wanted};

    #[test]
    fn a_writer_waits_until_the_lease_is_given_back() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("program");
        std::fs::write(&path, "one").expect("writable");
        let wanted = Wanted::watch().expect("a handler");
        let lease = Lease::take(&path).expect("a lease");
        assert!(!lease.is_wanted());
        thread::scope(|scope| {
            let writer = scope.spawn(|| OpenOptions::new().write(true).open(&path));
            let patience = Timespec {
                tv_sec: 20,
                tv_nsec: 0,
            };
            let told = loop {
                let mut fds = [PollFd::from_borrowed_fd(wanted.fd(), PollFlags::IN)];
                // The signal itself may break the wait off.
                match poll(&mut fds, Some(&patience)) {
                    Err(rustix::io::Errno::INTR) => {}
                    told => break told,
                }
            };
            assert_eq!(told, Ok(1));
            assert!(wanted.told());
            assert!(lease.is_wanted());
            thread::sleep(Duration::from_millis(50));
            assert!(!writer.is_finished());
            drop(lease);
            writer.join().expect("no panic").expect("open");
        });
    }

    #[test]
    fn there_is_none_while_somebody_writes() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("program");
        let writer = std::fs::File::create(&path).expect("writable");
        assert!(Lease::take(&path).is_err());
        drop(writer);
        assert!(Lease::take(&path).is_ok());
    }
}
