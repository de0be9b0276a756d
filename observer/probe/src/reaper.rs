//! A thread that closes links: the kernel waits for running programs at each,
//! in all for seconds where there are many.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

/// Which links were handed over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// Closes links, in the order they came, by dropping them.
pub(super) struct Reaper<L> {
    shared: Arc<Shared<L>>,
    /// Without it, whoever hands links over waits until they are closed.
    thread: Option<JoinHandle<()>>,
}

struct Shared<L> {
    queue: Mutex<Queue<L>>,
    changed: Condvar,
}

/// Links that were handed over together.
struct Handed<L> {
    ticket: Ticket,
    links: Vec<L>,
}

type Waiting<L> = VecDeque<Handed<L>>;

struct Queue<L> {
    waiting: Waiting<L>,
    closing: Option<Ticket>,
    handed_over: u64,
    ended: bool,
}

impl<L: Send + 'static> Reaper<L> {
    pub(super) fn start() -> Self {
        Self::on(|close_all| {
            thread::Builder::new()
                .name("probe-reaper".to_owned())
                .spawn(close_all)
        })
    }

    /// With a thread that is made so.
    fn on(spawn: impl FnOnce(Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>>) -> Self {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue {
                waiting: VecDeque::new(),
                closing: None,
                handed_over: 0,
                ended: false,
            }),
            changed: Condvar::new(),
        });
        let of_thread = Arc::clone(&shared);
        let thread = spawn(Box::new(move || of_thread.close_all()));
        if let Err(error) = &thread {
            tracing::warn!(%error, "failed to start the thread that detaches uprobes (probe-reaper); detaching blocks instead");
        }
        Self {
            shared,
            thread: thread.ok(),
        }
    }

    /// Closes the links, some time.
    pub(super) fn take(&self, links: Vec<L>) -> Ticket {
        self.hand_over(links, VecDeque::push_back)
    }

    /// Closes the links before all that wait: a program is slower until then.
    pub(super) fn take_first(&self, links: Vec<L>) -> Ticket {
        self.hand_over(links, VecDeque::push_front)
    }

    fn hand_over(&self, links: Vec<L>, put: impl FnOnce(&mut Waiting<L>, Handed<L>)) -> Ticket {
        let mut queue = self.shared.queue();
        queue.handed_over += 1;
        let ticket = Ticket(queue.handed_over);
        if self.thread.is_some() {
            put(&mut queue.waiting, Handed { ticket, links });
            self.shared.changed.notify_all();
        }
        ticket
    }

    /// Gives back links that nobody has begun to close. Where they are being
    /// closed, waits until they are.
    pub(super) fn recall(&self, ticket: Ticket) -> Option<Vec<L>> {
        let mut queue = self.shared.queue();
        let place = queue
            .waiting
            .iter()
            .position(|handed| handed.ticket == ticket);
        if let Some(place) = place {
            return queue.waiting.remove(place).map(|handed| handed.links);
        }
        while queue.closing == Some(ticket) {
            queue = self.shared.wait(queue);
        }
        None
    }
}

impl<L> Reaper<L> {
    /// Whether there was a thread and it has ended, which only a bug makes it do.
    pub(super) fn has_lost_its_thread(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Ends the thread once the link that it is closing is closed, and gives
    /// back all others. The process must not exit during a close: the kernel
    /// breaks it off where the thread is killed, and the probe stays.
    pub(super) fn end(&mut self) -> Vec<L> {
        self.shared.queue().ended = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that detaches uprobes (probe-reaper) panicked");
        }
        let waiting = std::mem::take(&mut self.shared.queue().waiting);
        waiting
            .into_iter()
            .flat_map(|handed| handed.links)
            .collect()
    }
}

impl<L> Drop for Reaper<L> {
    fn drop(&mut self) {
        drop(self.end());
    }
}

impl<L> Shared<L> {
    fn queue(&self) -> MutexGuard<'_, Queue<L>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, queue: MutexGuard<'a, Queue<L>>) -> MutexGuard<'a, Queue<L>> {
        self.changed
            .wait(queue)
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Until somebody ends it.
    fn close_all(&self) {
        let mut queue = self.queue();
        while !queue.ended {
            let Some(Handed { ticket, links }) = queue.waiting.pop_front() else {
                queue = self.wait(queue);
                continue;
            };
            queue.closing = Some(ticket);
            let mut links = links.into_iter();
            while !queue.ended
                && let Some(link) = links.next()
            {
                drop(queue);
                drop(link);
                queue = self.queue();
            }
            if links.len() > 0 {
                let links = links.collect();
                queue.waiting.push_front(Handed { ticket, links });
            }
            queue.closing = None;
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::mpsc::{Receiver, Sender, channel},
    };

    use super::Reaper;

    /// Its close begins, and lasts until the test lets it end.
    struct Slow {
        number: u32,
        begun: Sender<u32>,
        may_end: Receiver<()>,
    }

    impl Drop for Slow {
        fn drop(&mut self) {
            let _ = self.begun.send(self.number);
            let _ = self.may_end.recv();
        }
    }

    /// Links, what tells that the close of one began, and what lets each end.
    fn slow<const N: usize>() -> ([Slow; N], Receiver<u32>, Vec<Sender<()>>) {
        let (begun, begins) = channel();
        let mut ends = Vec::new();
        let links = std::array::from_fn(|number| {
            let (end, may_end) = channel();
            ends.push(end);
            Slow {
                number: number as u32,
                begun: begun.clone(),
                may_end,
            }
        });
        (links, begins, ends)
    }

    fn numbers(links: &[Slow]) -> Vec<u32> {
        links.iter().map(|link| link.number).collect()
    }

    #[test]
    fn closes_in_the_order_of_coming_and_does_not_hold_up_who_hands_over() {
        let ([first, second, third], begins, ends) = slow();
        let mut reaper = Reaper::start();
        reaper.take(vec![first, second]);
        assert_eq!(begins.recv(), Ok(0));
        reaper.take(vec![third]);
        drop(ends);
        assert_eq!(begins.recv(), Ok(1));
        assert_eq!(begins.recv(), Ok(2));
        assert!(reaper.end().is_empty());
    }

    #[test]
    fn gives_back_what_waits() {
        let ([closing, waiting], begins, ends) = slow();
        let mut reaper = Reaper::start();
        reaper.take(vec![closing]);
        let ticket = reaper.take(vec![waiting]);
        assert_eq!(begins.recv(), Ok(0));
        let back = reaper.recall(ticket).expect("nobody has begun");
        assert_eq!(numbers(&back), [1]);
        assert!(reaper.recall(ticket).is_none(), "given back once");
        drop(ends);
        assert!(reaper.end().is_empty());
    }

    #[test]
    fn what_is_to_go_first_does() {
        let ([closing, waiting, urgent], begins, ends) = slow();
        let mut reaper = Reaper::start();
        reaper.take(vec![closing]);
        assert_eq!(begins.recv(), Ok(0));
        reaper.take(vec![waiting]);
        reaper.take_first(vec![urgent]);
        drop(ends);
        assert_eq!(begins.recv(), Ok(2));
        assert_eq!(begins.recv(), Ok(1));
        assert!(reaper.end().is_empty());
    }

    #[test]
    fn a_recall_waits_for_the_close_that_has_begun() {
        let ([link], begins, ends) = slow();
        let reaper = Reaper::start();
        let ticket = reaper.take(vec![link]);
        assert_eq!(begins.recv(), Ok(0));
        std::thread::scope(|scope| {
            let recall = scope.spawn(|| reaper.recall(ticket).is_none());
            assert!(!recall.is_finished(), "the link is still being closed");
            drop(ends);
            assert!(recall.join().expect("no panic"));
        });
    }

    #[test]
    fn the_end_waits_for_one_close_and_gives_back_the_rest() {
        let ([closing, of_same, later], begins, mut ends) = slow();
        let mut reaper = Reaper::start();
        reaper.take(vec![closing, of_same]);
        reaper.take(vec![later]);
        assert_eq!(begins.recv(), Ok(0));
        std::thread::scope(|scope| {
            let shared = std::sync::Arc::clone(&reaper.shared);
            let end = scope.spawn(|| reaper.end());
            while !shared.queue().ended {
                std::thread::yield_now();
            }
            assert!(!end.is_finished(), "the link is still being closed");
            ends.remove(0).send(()).expect("it waits for this");
            let back = end.join().expect("no panic");
            assert_eq!(numbers(&back), [1, 2]);
            assert!(begins.try_recv().is_err(), "nothing else was begun");
            drop(ends);
        });
    }

    #[test]
    fn without_a_thread_whoever_hands_over_closes() {
        let ([link], begins, ends) = slow();
        drop(ends);
        let mut reaper = Reaper::on(|_| Err(io::ErrorKind::WouldBlock.into()));
        let ticket = reaper.take(vec![link]);
        assert_eq!(begins.try_recv(), Ok(0));
        assert!(reaper.recall(ticket).is_none());
        assert!(reaper.end().is_empty());
    }
}
