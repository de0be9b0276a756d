//! Inspects files on threads of their own: a file on a hung network or FUSE
//! file system must not hold up the engine.

use std::{
    collections::VecDeque,
    fs::File,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustix::event::{EventfdFlags, eventfd};

use crate::{
    discover::FileId,
    gobinary::{self, Inspected},
};

/// How many files are inspected side by side: each needs a core while it runs.
const SIDE_BY_SIDE: usize = 2;
/// An inspection that takes longer waits for its file system; it no longer
/// counts against [`SIDE_BY_SIDE`].
const STUCK: Duration = Duration::from_secs(5);

/// A file that has been looked at.
pub(super) struct Done {
    /// Which.
    pub(super) id: FileId,
    /// Still open, so that probes can be attached though its path may be gone.
    pub(super) file: File,
    /// What it is, or why that cannot be told.
    pub(super) result: Result<Inspected, String>,
}

/// Files on their way.
pub(super) struct Inspector {
    wake: Arc<OwnedFd>,
    sender: mpsc::Sender<Done>,
    receiver: mpsc::Receiver<Done>,
    waiting: VecDeque<(FileId, File)>,
    running: Vec<(FileId, Instant)>,
}

impl Inspector {
    pub(super) fn new() -> rustix::io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let (sender, receiver) = mpsc::channel();
        Ok(Self {
            wake: Arc::new(wake),
            sender,
            receiver,
            waiting: VecDeque::new(),
            running: Vec::new(),
        })
    }

    /// Readable when [`Self::done`] has something.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Whether nothing is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    pub(super) fn submit(&mut self, id: FileId, file: File) {
        self.waiting.push_back((id, file));
        self.start_next();
    }

    /// What has been inspected since the last call.
    pub(super) fn done(&mut self) -> Vec<Done> {
        let mut count = [0; 8];
        // Only resets the descriptor; that there was nothing to read is fine.
        let _ = rustix::io::read(&*self.wake, &mut count);
        let done: Vec<Done> = self.receiver.try_iter().collect();
        self.running
            .retain(|(id, _)| done.iter().all(|done| done.id != *id));
        self.start_next();
        done
    }

    fn start_next(&mut self) {
        while self.running_now() < SIDE_BY_SIDE {
            let Some((id, file)) = self.waiting.pop_front() else {
                return;
            };
            let sender = self.sender.clone();
            let wake = Arc::clone(&self.wake);
            let work = move || {
                // Inspection returns errors; should a hostile file find a panic
                // all the same, it costs that file's coverage and nothing else.
                let result = match catch_unwind(AssertUnwindSafe(|| gobinary::inspect(&file))) {
                    Ok(result) => result.map_err(|error| error.to_string()),
                    Err(_) => Err("inspection panicked".to_owned()),
                };
                // The engine may be gone by now; then nobody wants the result.
                if sender.send(Done { id, file, result }).is_ok() {
                    let _ = rustix::io::write(&*wake, &1u64.to_ne_bytes());
                }
            };
            match thread::Builder::new().name("inspect".into()).spawn(work) {
                Ok(_) => self.running.push((id, Instant::now())),
                Err(error) => {
                    tracing::warn!(%error, "cannot start a thread to inspect a file; its processes stay unobserved");
                    return;
                }
            }
        }
    }

    fn running_now(&self) -> usize {
        self.running
            .iter()
            .filter(|(_, since)| since.elapsed() < STUCK)
            .count()
    }
}
