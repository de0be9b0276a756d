//! When each process that began before the probes on every goroutine stood is read.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Until the first try, since a program takes a moment until it can be sampled. Until
/// each of the next it is twice as long.
const SOON: Duration = Duration::from_millis(2);
/// How often each is tried: for half a second. Whoever lives longer is sampled as any.
const TRIES: u32 = 8;

/// Those to be read, each with tries of its own: some are told of only after the probes
/// that stand for another's sake are set, and the first of them has been read.
#[derive(Debug, Default)]
pub(super) struct Newcomers(HashMap<u32, Next>);

/// The next try.
#[derive(Clone, Copy, Debug)]
struct Next {
    due: Instant,
    tries: u32,
}

impl Newcomers {
    /// A process to be read soon.
    pub(super) fn add(&mut self, pid: u32, now: Instant) {
        let due = now + SOON;
        self.0.insert(pid, Next { due, tries: 1 });
    }

    /// When the next is to be read.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.values().map(|next| next.due).min()
    }

    /// The number of one that is due, for its next try, and how many tries those are.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(u32, u32)> {
        let mut due = self.0.iter().filter(|(_, next)| next.due <= now);
        let (pid, tries) = due.next().map(|(pid, next)| (*pid, next.tries))?;
        self.0.remove(&pid);
        Some((pid, tries))
    }

    /// So many tries were in vain: there is another, unless that was the last.
    pub(super) fn again(&mut self, pid: u32, tries: u32, now: Instant) {
        if tries < TRIES {
            let due = now + SOON * (1 << tries);
            let tries = tries + 1;
            self.0.insert(pid, Next { due, tries });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Newcomers, TRIES};

    #[test]
    fn each_is_tried_so_often_and_no_more() {
        let mut newcomers = Newcomers::default();
        let began = Instant::now();
        newcomers.add(7, began);
        let mut count = 0;
        let mut last = began;
        while let Some(due) = newcomers.due() {
            assert!(due > last);
            assert_eq!(newcomers.pop_due(last), None, "it is not due");
            last = due;
            count += 1;
            let (pid, tries) = newcomers.pop_due(due).expect("it is due");
            newcomers.again(pid, tries, due);
        }
        assert_eq!(count, TRIES);
        assert!(last - began < Duration::from_secs(1));
    }

    #[test]
    fn one_that_is_tried_again_holds_back_no_other() {
        let mut newcomers = Newcomers::default();
        let now = Instant::now();
        newcomers.add(7, now);
        let due = newcomers.due().expect("one waits");
        let (pid, tries) = newcomers.pop_due(due).expect("it is due");
        newcomers.again(pid, tries, due);
        newcomers.add(8, now);
        assert_eq!(newcomers.pop_due(due), Some((8, 1)));
        assert_eq!(newcomers.pop_due(due), None);
        assert!(newcomers.due().is_some(), "the other waits on");
    }
}
