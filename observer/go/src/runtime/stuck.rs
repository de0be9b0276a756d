//! Work that one process, or who serves its pages, may hold up for ever.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

/// Longest that anybody waits for such work.
const LONGEST: Duration = Duration::from_secs(5);
/// Most threads that wait for ever; with as many, nothing more is tried.
const MOST: usize = 64;

/// Threads that work on a process, or wait for it.
static STUCK: Mutex<List> = Mutex::new(List {
    entries: Vec::new(),
    next: 0,
});

struct List {
    entries: Vec<StuckThread>,
    next: u64,
}

struct StuckThread {
    number: u64,
    pid: u32,
    /// Whether it is one of [`MOST`]; whoever waits elsewhere takes nobody's place.
    apart: bool,
    /// From then on it is held up.
    from: Instant,
}

impl List {
    fn has(&self, pid: u32) -> bool {
        let now = Instant::now();
        let mut of_it = self.entries.iter().filter(|entry| entry.pid == pid);
        of_it.any(|entry| entry.from <= now)
    }

    fn add(&mut self, pid: u32, apart: bool, from: Instant) -> Stuck {
        self.next += 1;
        self.entries.push(StuckThread {
            number: self.next,
            pid,
            apart,
            from,
        });
        Stuck(self.next)
    }
}

/// The work did not come to its end.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum HeldUp {
    /// The process holds up this work, or some before it.
    #[error(
        "process {0} holds up whoever reads its memory or its file: userfaultfd, or a file \
         system, is to serve a page of it and does not answer"
    )]
    By(u32),
    /// So many do that there is no thread for another.
    #[error(
        "too many processes, or too many of this pod or user, hold up whoever reads their memory; no more are tried"
    )]
    ByMany,
    /// There is no thread to do it on.
    #[error("no thread can be started")]
    NoThread,
    /// It panicked, which is a bug.
    #[error("the thread that did it ended before; see the log")]
    Panicked,
}

/// As long as it lives, a thread works on a process or waits for it.
#[derive(Debug)]
pub struct Stuck(u64);

impl Stuck {
    /// A thread is held up by this process.
    pub fn on(pid: u32) -> Self {
        list().add(pid, false, Instant::now())
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        list().entries.retain(|entry| entry.number != self.0);
    }
}

/// Whether a thread is held up by this process: no other is to follow it.
pub fn is_stuck(pid: u32) -> bool {
    list().has(pid)
}

fn list() -> MutexGuard<'static, List> {
    // It is never left half changed.
    STUCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does work on a thread of its own, and waits for it, but not for ever.
pub fn apart<R: Send + 'static>(
    pid: u32,
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<R, HeldUp> {
    within(LONGEST, pid, work)
}

/// The same, and waits for so long at most.
pub fn within<R: Send + 'static>(
    longest: Duration,
    pid: u32,
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<R, HeldUp> {
    let held = {
        let mut list = list();
        if list.has(pid) {
            return Err(HeldUp::By(pid));
        }
        if list.entries.iter().filter(|entry| entry.apart).count() >= MOST {
            return Err(HeldUp::ByMany);
        }
        list.add(pid, true, Instant::now() + longest)
    };
    let (sender, receiver) = mpsc::sync_channel(1);
    let work = move || {
        let result = work();
        drop(held);
        // Nobody waits where it took too long.
        let _ = sender.send(result);
    };
    let spawned = thread::Builder::new().name("walk".into()).spawn(work);
    spawned.map_err(|_| HeldUp::NoThread)?;
    receiver.recv_timeout(longest).map_err(|error| match error {
        RecvTimeoutError::Timeout => HeldUp::By(pid),
        RecvTimeoutError::Disconnected => HeldUp::Panicked,
    })
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, thread, time::Duration};

    use super::{HeldUp, Stuck, apart, is_stuck, within};

    #[test]
    fn one_that_holds_up_is_tried_once() {
        // No process has such an id.
        let pid = u32::MAX;
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let read = move || reader.read(&mut [0]).is_ok();
        let short = Duration::from_millis(50);
        assert!(matches!(within(short, pid, read), Err(HeldUp::By(_))));
        assert!(is_stuck(pid));
        assert!(matches!(apart(pid, || ()), Err(HeldUp::By(_))));
        drop(writer);
        while is_stuck(pid) {
            thread::yield_now();
        }
        assert_eq!(apart(pid, || 7).ok(), Some(7));
        assert_eq!(apart(pid, move || is_stuck(pid)).ok(), Some(false));
    }

    #[test]
    fn each_is_let_go_once() {
        let pid = u32::MAX - 1;
        let (one, other) = (Stuck::on(pid), Stuck::on(pid));
        drop(one);
        assert!(is_stuck(pid));
        drop(other);
        assert!(!is_stuck(pid));
    }
}
