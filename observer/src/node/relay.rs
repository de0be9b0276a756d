//! Keeps the engine going where a process holds up the thread that reads its memory.
//!
//! A page behind userfaultfd, or of a file whose FUSE server answers no more, may
//! never come: whoever reads it sleeps in the kernel, and nothing but the end of
//! that process wakes it. So the engine is laid down while memory is read, and
//! taken up again behind the read. Where the read does not come back, the thread
//! that watches takes the engine up instead, and another watches from then on. The
//! thread that sleeps ends when it wakes.

use std::{
    cell::Cell,
    fs, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

use rustix::thread::{gettid, set_name};

/// How often it is looked whether a read goes on, while anything is read.
const LOOK: Duration = Duration::from_millis(50);
/// A read that sleeps for so long is given up.
const PATIENCE: Duration = Duration::from_millis(200);
/// Most threads that sleep in reads; with as many, nothing is read.
pub(super) const MOST_OUT: usize = 64;

/// What is handed on.
pub(super) trait Relayed: Send + 'static {
    /// Goes on with whatever is to be done; ends when it is laid down for good.
    fn run(self: Box<Self>);
    /// This read was given up.
    fn given_up(&mut self, reading: Reading);
}

/// A read of one process's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// Of each another one; 0 is none.
    pub(super) number: u64,
    /// Whose memory.
    pub(super) pid: u32,
    /// The thread that reads.
    thread: i32,
}

/// Where the engine is laid down.
pub(super) struct Relay<E: Relayed> {
    slot: Mutex<Slot<E>>,
    /// Whether anything is being read, so that somebody has to watch.
    busy: AtomicBool,
    /// Reads that were given up and have not come back.
    out: AtomicUsize,
    watcher: Mutex<Option<Thread>>,
}

struct Slot<E> {
    engine: Option<Box<E>>,
    /// The one that goes on, or was the last.
    reading: Reading,
    /// Given up ones that came back all the same.
    returned: Vec<Reading>,
}

impl<E: Relayed> Relay<E> {
    /// Begins to watch.
    pub(super) fn start() -> io::Result<Arc<Self>> {
        let relay = Arc::new(Self {
            slot: Mutex::new(Slot {
                engine: None,
                reading: Reading::default(),
                returned: Vec::new(),
            }),
            busy: AtomicBool::new(false),
            out: AtomicUsize::new(0),
            watcher: Mutex::new(None),
        });
        relay.set_watcher()?;
        Ok(relay)
    }

    /// Some reads follow one another from here on, or no more.
    pub(super) fn busy(&self, busy: bool) {
        self.busy.store(busy, Ordering::SeqCst);
        if busy && let Some(watcher) = &*unpoisoned(&self.watcher) {
            watcher.unpark();
        }
    }

    /// Reads of a process's memory, between [`Self::busy`] and its end. `None` where
    /// somebody else has gone on with the engine meanwhile.
    pub(super) fn read<R>(
        &self,
        engine: Box<E>,
        pid: u32,
        read: impl FnOnce() -> R,
    ) -> Option<(Box<E>, R)> {
        let number = {
            let mut slot = unpoisoned(&self.slot);
            let number = slot.reading.number + 1;
            slot.reading = Reading {
                number,
                pid,
                thread: thread_id(),
            };
            slot.engine = Some(engine);
            number
        };
        let result = read();
        let mut slot = unpoisoned(&self.slot);
        if slot.reading.number == number
            && let Some(engine) = slot.engine.take()
        {
            return Some((engine, result));
        }
        let reading = Reading {
            number,
            pid,
            ..Reading::default()
        };
        slot.returned.push(reading);
        self.out.fetch_sub(1, Ordering::SeqCst);
        None
    }

    /// Given up reads that came back since this was last asked.
    pub(super) fn returned(&self) -> Vec<Reading> {
        std::mem::take(&mut unpoisoned(&self.slot).returned)
    }

    /// Whether so many threads sleep that no other may.
    pub(super) fn is_full(&self) -> bool {
        self.out.load(Ordering::SeqCst) >= MOST_OUT
    }

    fn set_watcher(self: &Arc<Self>) -> io::Result<()> {
        let weak = Arc::downgrade(self);
        let watcher = thread::Builder::new()
            .name("watch".into())
            .spawn(move || watch(&weak))?;
        *unpoisoned(&self.watcher) = Some(watcher.thread().clone());
        Ok(())
    }

    /// The read that goes on.
    fn going_on(&self) -> Option<u64> {
        let slot = unpoisoned(&self.slot);
        slot.engine.as_ref().map(|_| slot.reading.number)
    }

    /// The engine, where this read still goes on and sleeps.
    fn take_over(self: &Arc<Self>, number: u64) -> Option<Box<E>> {
        // Held throughout: a read that comes back meanwhile finds it either way.
        let mut slot = unpoisoned(&self.slot);
        let reading = slot.reading;
        if reading.number != number || slot.engine.is_none() || runs(reading.thread) {
            return None;
        }
        if let Err(error) = self.set_watcher() {
            tracing::error!(%error, pid = reading.pid, "a process holds up the reads of memory, and no other thread can be started");
            return None;
        }
        let mut engine = slot.engine.take()?;
        self.out.fetch_add(1, Ordering::SeqCst);
        engine.given_up(reading);
        Some(engine)
    }
}

impl<E: Relayed> Drop for Relay<E> {
    fn drop(&mut self) {
        if let Some(watcher) = &*unpoisoned(&self.watcher) {
            watcher.unpark();
        }
    }
}

fn watch<E: Relayed>(relay: &Weak<Relay<E>>) {
    let mut seen = (None, Instant::now());
    while let Some(relay) = relay.upgrade() {
        if !relay.busy.load(Ordering::SeqCst) {
            drop(relay);
            thread::park();
            continue;
        }
        let now = relay.going_on();
        if now.is_none() || now != seen.0 {
            seen = (now, Instant::now());
        } else if seen.1.elapsed() >= PATIENCE
            && let Some(engine) = now.and_then(|number| relay.take_over(number))
        {
            drop(relay);
            // For people who look at threads; nothing depends on it.
            let _ = set_name(c"engine");
            engine.run();
            return;
        }
        drop(relay);
        thread::sleep(LOOK);
    }
}

/// Whether a thread of this process has something to do. On a machine that is
/// busy it may wait long for a CPU, and that is nobody's fault.
fn runs(thread: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/self/task/{thread}/stat"));
    // The name before the state may hold anything.
    let state = stat.ok().and_then(|stat| {
        let (_, behind) = stat.rsplit_once(')')?;
        behind.trim_start().chars().next()
    });
    state == Some('R')
}

fn thread_id() -> i32 {
    thread_local! {
        static ID: Cell<i32> = const { Cell::new(0) };
    }
    if ID.get() == 0 {
        ID.set(gettid().as_raw_nonzero().get());
    }
    ID.get()
}

fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic in a read costs that read; nothing here is left half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{PipeReader, PipeWriter, Read as _, pipe},
        sync::{Arc, mpsc},
        thread,
        time::Duration,
    };

    use super::{PATIENCE, Reading, Relay, Relayed};

    /// Reads from pipes, as many as it was given; nobody writes to some.
    struct Pipes {
        relay: Arc<Relay<Self>>,
        left: Vec<PipeReader>,
        told: mpsc::Sender<Told>,
    }

    #[derive(Debug, PartialEq, Eq)]
    enum Told {
        Read(u32),
        GivenUp(u32),
        Returned(u32),
        Ended,
    }

    impl Relayed for Pipes {
        fn run(self: Box<Self>) {
            let mut this = self;
            let relay = Arc::clone(&this.relay);
            relay.busy(true);
            while let Some(mut pipe) = this.left.pop() {
                let pid = this.left.len() as u32;
                let read = move || pipe.read(&mut [0; 1]).is_ok();
                let Some((next, true)) = relay.read(this, pid, read) else {
                    return;
                };
                this = next;
                let _ = this.told.send(Told::Read(pid));
            }
            relay.busy(false);
            for reading in relay.returned() {
                let _ = this.told.send(Told::Returned(reading.pid));
            }
            let _ = this.told.send(Told::Ended);
        }

        fn given_up(&mut self, reading: Reading) {
            let _ = self.told.send(Told::GivenUp(reading.pid));
        }
    }

    /// A pipe with something in it, or one that stays empty as long as it is held.
    fn made(full: bool) -> (PipeReader, Option<PipeWriter>) {
        let (reader, writer) = pipe().expect("a pipe");
        (reader, (!full).then_some(writer))
    }

    #[test]
    fn what_holds_up_one_read_holds_up_no_other() {
        let relay = Relay::<Pipes>::start().expect("a thread");
        let (told, hear) = mpsc::channel();
        let mut held = Vec::new();
        let mut left = Vec::new();
        for full in [true, false, true, false, false, true] {
            let (reader, writer) = made(full);
            left.push(reader);
            held.extend(writer);
        }
        let engine = Box::new(Pipes {
            relay: Arc::clone(&relay),
            left,
            told,
        });
        thread::spawn(move || engine.run());
        let next = || hear.recv_timeout(Duration::from_secs(60)).expect("news");
        let told: Vec<Told> = (0..7).map(|_| next()).collect();
        let expected = [
            Told::Read(5),
            Told::GivenUp(4),
            Told::GivenUp(3),
            Told::Read(2),
            Told::GivenUp(1),
            Told::Read(0),
            Told::Ended,
        ];
        assert_eq!(told, expected);
        assert!(hear.recv_timeout(2 * PATIENCE).is_err(), "it ran twice");

        // What comes back late is told, and nobody goes on with it.
        assert_eq!(relay.returned(), []);
        drop(held.pop());
        let returned = loop {
            let returned = relay.returned();
            if !returned.is_empty() {
                break returned;
            }
            thread::yield_now();
        };
        let pids: Vec<u32> = returned.iter().map(|reading| reading.pid).collect();
        assert_eq!(pids, [4]);
        assert!(!relay.is_full());
    }

    #[test]
    fn who_waits_for_nothing_but_a_cpu_is_left_alone() {
        let relay = Relay::<Pipes>::start().expect("a thread");
        let (told, hear) = mpsc::channel();
        let engine = Box::new(Pipes {
            relay: Arc::clone(&relay),
            left: Vec::new(),
            told,
        });
        relay.busy(true);
        let begun = std::time::Instant::now();
        let spin = || while begun.elapsed() < 3 * PATIENCE {};
        assert!(relay.read(engine, 1, spin).is_some());
        assert!(hear.try_recv().is_err());
    }
}
