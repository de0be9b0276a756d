//! Taking every probe away at the end, without delaying it.

use std::{os::fd::AsFd, thread, time::Instant};

use super::{background_close::BackgroundClose, link::Link};

/// How many threads close `uprobe_multi` links.
const CLOSERS: usize = 64;
/// What one of them has for its stack.
const STACK_BYTES: usize = 64 << 10;

/// Closes all links. None may be left to the exit of the process: the last
/// thread closes them then, and where it had begun to end by itself it cannot.
/// `alive` is called often, lest the observer's own timer kill it meanwhile.
pub(super) fn close(links: Vec<Link>, alive: impl FnMut()) {
    let mut multi = Vec::new();
    let mut perf = Vec::new();
    let mut leases = Vec::new();
    for link in links {
        match link {
            Link::Multi(link) => multi.push(link),
            Link::Perf(link) => perf.push(link),
            Link::Lease(lease) => leases.push(lease),
        }
    }
    close_together(multi, STACK_BYTES);
    leave(perf, alive);
    // Only now may anybody write to the files; of perf-event links not before the
    // kernel is through with them, for which these leases are kept.
    drop(leases);
}

/// The kernel waits for running programs at each link; many threads wait for
/// one and the same grace period.
fn close_together<L: Send>(mut links: Vec<L>, stack: usize) {
    let share = links.len().div_ceil(CLOSERS).max(1);
    thread::scope(|scope| {
        while links.len() > share {
            let some = links.split_off(links.len() - share);
            // Where there is no thread to be had, the closure is dropped here, links and all.
            let _ = thread::Builder::new()
                .stack_size(stack)
                .spawn_scoped(scope, move || drop(some));
        }
        drop(links);
    });
}

/// Perf-event links are closed one after another, whoever does it: the kernel
/// waits at each and holds a lock meanwhile. So the kernel is to do it.
fn leave<L: AsFd>(links: Vec<L>, mut alive: impl FnMut()) {
    if links.is_empty() {
        return;
    }
    let count = links.len();
    let began = Instant::now();
    let background_close = BackgroundClose::of(&links);
    if let Err(error) = &background_close {
        tracing::info!(
            links = count,
            %error,
            "closing perf-event links one by one: io_uring, by which the kernel would do it in the \
             background, is not to be had"
        );
    }
    // Before the hand-over, so that the kernel is left with the last hold.
    for link in links {
        drop(link);
        alive();
    }
    let took = began.elapsed();
    if background_close.is_ok() {
        tracing::info!(
            links = count,
            ?took,
            "perf-event links handed to the kernel, which takes their probes away in the background"
        );
    } else {
        tracing::info!(links = count, ?took, "perf-event links closed");
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashSet,
        io::Read,
        os::fd::{AsFd, BorrowedFd, OwnedFd},
        sync::{
            Barrier, Mutex,
            atomic::{AtomicUsize, Ordering},
        },
        thread::{self, ThreadId},
    };

    use super::{CLOSERS, STACK_BYTES, close_together, leave};

    /// Waits, when it is closed, for as many others.
    struct Together<'a> {
        all: Option<&'a Barrier>,
        closed: &'a AtomicUsize,
        by: &'a Mutex<HashSet<ThreadId>>,
    }

    impl Drop for Together<'_> {
        fn drop(&mut self) {
            if let Some(all) = self.all {
                all.wait();
            }
            self.closed.fetch_add(1, Ordering::Relaxed);
            self.by
                .lock()
                .expect("no panic")
                .insert(thread::current().id());
        }
    }

    #[test]
    fn many_are_closed_at_once_and_all_before_it_returns() {
        let all = Barrier::new(CLOSERS);
        let (closed, by) = (AtomicUsize::new(0), Mutex::default());
        let link = || Together {
            all: Some(&all),
            closed: &closed,
            by: &by,
        };
        // It would never return if one waited for another to be closed first.
        close_together((0..3 * CLOSERS).map(|_| link()).collect(), STACK_BYTES);
        assert_eq!(closed.load(Ordering::Relaxed), 3 * CLOSERS);
        assert_eq!(by.lock().expect("no panic").len(), CLOSERS);
    }

    #[test]
    fn where_no_thread_is_to_be_had_the_caller_closes_all() {
        let (closed, by) = (AtomicUsize::new(0), Mutex::default());
        let link = || Together {
            all: None,
            closed: &closed,
            by: &by,
        };
        // No address space has that much for a stack.
        close_together((0..3 * CLOSERS).map(|_| link()).collect(), 1 << 60);
        assert_eq!(closed.load(Ordering::Relaxed), 3 * CLOSERS);
        let by = by.lock().expect("no panic");
        assert_eq!(*by, HashSet::from([thread::current().id()]));
    }

    /// A pipe's end in place of a link.
    struct Pipe(OwnedFd);

    impl AsFd for Pipe {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }

    #[test]
    fn what_is_left_to_the_kernel_gets_closed() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let copy = writer.try_clone().expect("a descriptor");
        leave(vec![Pipe(writer.into()), Pipe(copy.into())], || {});
        // The end of the stream comes only once no writer is left.
        let read = reader.read_to_end(&mut Vec::new()).expect("readable");
        assert_eq!(read, 0);
    }
}
