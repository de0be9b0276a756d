//! A thread that closes links: the kernel waits for running programs at each,
//! in all for seconds where there are many.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use aya::programs::uprobe::UProbeLink;

/// Which links were handed over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// Closes links, in the order they came.
pub(super) struct Reaper {
    shared: Arc<Shared>,
    /// Without it, whoever hands links over waits until they are closed.
    has_thread: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Ticket, Vec<UProbeLink>)>,
    closing: Option<Ticket>,
    handed_over: u64,
    ended: bool,
}

impl Reaper {
    pub(super) fn start() -> Self {
        let shared = Arc::<Shared>::default();
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("probe-reaper".to_owned())
            .spawn(move || of_thread.close_all());
        if let Err(error) = &thread {
            tracing::warn!(%error, "no thread for taking probes away; that will block instead");
        }
        Self {
            shared,
            has_thread: thread.is_ok(),
        }
    }

    /// Closes the links, some time.
    pub(super) fn take(&self, links: Vec<UProbeLink>) -> Ticket {
        let mut queue = self.shared.queue();
        queue.handed_over += 1;
        let ticket = Ticket(queue.handed_over);
        if self.has_thread {
            queue.waiting.push_back((ticket, links));
            self.shared.changed.notify_all();
        }
        ticket
    }

    /// Gives back links that nobody has begun to close. Where they are being
    /// closed, waits until they are.
    pub(super) fn recall(&self, ticket: Ticket) -> Option<Vec<UProbeLink>> {
        let mut queue = self.shared.queue();
        let place = queue.waiting.iter().position(|(it, _)| *it == ticket);
        if let Some(place) = place {
            return queue.waiting.remove(place).map(|(_, links)| links);
        }
        while queue.closing == Some(ticket) {
            queue = self.shared.wait(queue);
        }
        None
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.shared.queue().ended = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        self.changed
            .wait(queue)
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Until nothing is left and nobody can hand over more.
    fn close_all(&self) {
        let mut queue = self.queue();
        loop {
            if let Some((ticket, links)) = queue.waiting.pop_front() {
                queue.closing = Some(ticket);
                drop(queue);
                drop(links);
                queue = self.queue();
                queue.closing = None;
                self.changed.notify_all();
            } else if queue.ended {
                return;
            } else {
                queue = self.wait(queue);
            }
        }
    }
}
