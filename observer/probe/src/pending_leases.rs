//! Leases that are given back once no breakpoint stands in their files any more.
//!
//! The kernel takes the breakpoints of perf-event links away some time after the
//! links were closed, on threads of its own ([`PerfEventMap`](super::perf_event_map::PerfEventMap),
//! [`BackgroundClose`](super::background_close::BackgroundClose)), and tells nobody when. So whoever waits
//! to write is not let in before a look at the file says that they are gone. Where the
//! kernel takes longer than `fs.lease-break-time`, it lets the writer in by itself.
//!
//! A thread looks, as long as there is something to look at: the file may be on
//! a server that answers no more, which is to hold up neither the engine nor the
//! reaper.

use std::{
    fs::File,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::breakpoints;

/// How long breakpoints are waited for at most. The kernel is through with thousands
/// of links by then: what stands is another's, who probes the same instructions.
pub(super) const PATIENCE: Duration = Duration::from_mins(10);
/// Between two looks at a file there is an eighth of the time for which it has been
/// waited for, within these bounds.
const SHORTEST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(250);

/// Those that wait.
#[derive(Clone, Default)]
pub(super) struct PendingLeases(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Held>,
    /// How many the thread has taken out, and looks at.
    looked_at: usize,
    has_thread: bool,
}

/// A file whose lease waits.
struct Held {
    /// The lease is its, and goes when it is closed.
    file: Arc<File>,
    /// Where breakpoints may stand.
    sites: Vec<u64>,
    since: Instant,
    /// When to look again.
    next: Instant,
}

impl PendingLeases {
    /// Keeps a file open until no breakpoint stands at any of these offsets.
    pub(super) fn hold(&self, file: Arc<File>, sites: Vec<u64>) {
        let now = Instant::now();
        self.0.queue().waiting.push(Held {
            file,
            sites,
            since: now,
            next: now,
        });
        self.go_on();
    }

    /// Sees to it that a thread looks at what there is. Where none is to be had the
    /// writers wait, until there is one or the kernel lets them in.
    pub(super) fn go_on(&self) {
        let mut queue = self.0.queue();
        if queue.has_thread || queue.waiting.is_empty() {
            self.0.changed.notify_all();
            return;
        }
        let shared = Arc::clone(&self.0);
        let thread = thread::Builder::new()
            .name("probe-leases".to_owned())
            .spawn(move || shared.look());
        match thread {
            Ok(_) => queue.has_thread = true,
            Err(error) => {
                tracing::debug!(%error, "failed to start the thread that looks for breakpoints (probe-leases)");
            }
        }
    }

    /// How many files wait.
    pub(super) fn left(&self) -> usize {
        let queue = self.0.queue();
        queue.waiting.len() + queue.looked_at
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until nothing waits.
    fn look(&self) {
        let mut queue = self.queue();
        while let Some(next) = queue.waiting.iter().map(|held| held.next).min() {
            let now = Instant::now();
            if next > now {
                let waited = self.changed.wait_timeout(queue, next - now);
                queue = waited.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            let is_due = |held: &mut Held| held.next <= now;
            let due: Vec<Held> = queue.waiting.extract_if(.., is_due).collect();
            queue.looked_at = due.len();
            drop(queue);
            let stay: Vec<Held> = due.into_iter().filter_map(Held::look).collect();
            queue = self.queue();
            queue.looked_at = 0;
            queue.waiting.extend(stay);
        }
        // Under the same lock: who comes from now on starts another.
        queue.has_thread = false;
    }
}

impl Held {
    /// Itself again, where it must go on waiting.
    fn look(mut self) -> Option<Self> {
        let stand = breakpoints::stand(&self.file, &self.sites);
        let waited = self.since.elapsed();
        match stand {
            Ok(false) => {
                tracing::debug!(?waited, "no breakpoint stands in a file any more");
                return None;
            }
            stand if waited >= PATIENCE => {
                tracing::warn!(
                    ?stand,
                    ?waited,
                    "lease released although breakpoints may be in the file: another tool's uprobes, \
                     unless the file cannot be read"
                );
                return None;
            }
            Ok(true) => {}
            Err(error) => tracing::debug!(%error, "failed to look for breakpoints in a file"),
        }
        self.next = Instant::now() + (waited / 8).clamp(SHORTEST, LONGEST);
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        sync::Arc,
        thread,
        time::{Duration, Instant},
    };

    use super::{PATIENCE, PendingLeases};

    #[test]
    fn a_file_without_breakpoints_is_let_go() {
        let pending_leases = PendingLeases::default();
        for _ in 0..3 {
            let file = Arc::new(File::open("/proc/self/exe").expect("this program"));
            pending_leases.hold(Arc::clone(&file), vec![0, 5000]);
            let began = Instant::now();
            while Arc::strong_count(&file) > 1 || pending_leases.left() > 0 {
                assert!(began.elapsed() < Duration::from_secs(20), "it is kept");
                thread::yield_now();
            }
        }
    }

    #[test]
    fn one_that_cannot_be_looked_at_is_kept() {
        let pending_leases = PendingLeases::default();
        // Directories cannot be read.
        let file = Arc::new(File::open("/").expect("a directory"));
        pending_leases.hold(Arc::clone(&file), vec![0]);
        thread::sleep(Duration::from_millis(100));
        assert_eq!(pending_leases.left(), 1);
        assert_eq!(Arc::strong_count(&file), 2);
        // Its patience is over.
        let mut queue = pending_leases.0.queue();
        while queue.waiting.is_empty() {
            drop(queue);
            thread::yield_now();
            queue = pending_leases.0.queue();
        }
        queue.waiting[0].since -= PATIENCE;
        drop(queue);
        let began = Instant::now();
        while Arc::strong_count(&file) > 1 {
            assert!(began.elapsed() < Duration::from_secs(20), "it is kept");
            thread::yield_now();
        }
    }
}
