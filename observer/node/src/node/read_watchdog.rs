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
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

use rustix::thread::{gettid, set_name};

use crate::liveness::Pulse;

/// How often it is looked whether a read goes on, while anything is read.
const LOOK: Duration = Duration::from_millis(50);
/// A read that sleeps for so long is given up.
const PATIENCE: Duration = Duration::from_millis(200);
/// How often whoever watches says that it lives, while there is nothing to watch.
const REST: Duration = Duration::from_secs(30);
/// After a thread could not be started, and how often that is told.
const AGAIN: Duration = Duration::from_secs(1);
const TELL: Duration = Duration::from_mins(1);

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
pub(super) struct ReadWatchdog<E: Relayed> {
    slot: Mutex<Slot<E>>,
    /// Whether anything is being read, so that somebody has to watch.
    busy: AtomicBool,
    watcher: Mutex<Watcher>,
    spawn: Spawn,
    pulse: Pulse,
}

type Work = Box<dyn FnOnce() + Send>;
/// How a thread that watches is started.
type Spawn = fn(Work) -> io::Result<Thread>;

fn spawn(work: Work) -> io::Result<Thread> {
    let thread = thread::Builder::new().name("watch".into()).spawn(work)?;
    Ok(thread.thread().clone())
}

/// Who watches.
#[derive(Default)]
struct Watcher {
    /// `None` where the last one took the engine up, and no other could be started.
    thread: Option<Thread>,
    /// When that was last tried.
    failed: Option<Instant>,
    /// When it was last told.
    told: Option<Instant>,
}

struct Slot<E> {
    engine: Option<Box<E>>,
    /// The one that goes on, or was the last.
    reading: Reading,
    /// Given up ones that came back all the same.
    returned: Vec<Reading>,
}

impl<E: Relayed> ReadWatchdog<E> {
    /// Begins to watch.
    pub(super) fn start(pulse: Pulse) -> io::Result<Arc<Self>> {
        Self::start_by(spawn, pulse)
    }

    /// The same, with threads that are started so.
    pub(super) fn start_by(spawn: Spawn, pulse: Pulse) -> io::Result<Arc<Self>> {
        let watchdog = Arc::new(Self {
            slot: Mutex::new(Slot {
                engine: None,
                reading: Reading::default(),
                returned: Vec::new(),
            }),
            busy: AtomicBool::new(false),
            watcher: Mutex::default(),
            spawn,
            pulse,
        });
        unpoisoned(&watchdog.watcher).thread = Some(watchdog.watcher()?);
        Ok(watchdog)
    }

    /// Some reads follow one another from here on, or no more.
    pub(super) fn busy(&self, busy: bool) {
        self.busy.store(busy, Ordering::SeqCst);
        if busy && let Some(watcher) = &unpoisoned(&self.watcher).thread {
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
        let reading = Reading {
            number,
            pid,
            ..Reading::default()
        };
        let unwound = Unwound {
            slot: &self.slot,
            reading,
        };
        let result = read();
        // It did not panic.
        std::mem::forget(unwound);
        let mut slot = unpoisoned(&self.slot);
        if slot.reading.number == number
            && let Some(engine) = slot.engine.take()
        {
            return Some((engine, result));
        }
        slot.returned.push(reading);
        None
    }

    /// Given up reads that came back since this was last asked.
    pub(super) fn returned(&self) -> Vec<Reading> {
        std::mem::take(&mut unpoisoned(&self.slot).returned)
    }

    /// Whether somebody watches, without whom nothing may be read. Where no thread could
    /// be started for it, that is tried again.
    pub(super) fn is_watched(self: &Arc<Self>) -> bool {
        let mut watcher = unpoisoned(&self.watcher);
        let ago = |at: Option<Instant>| at.map_or(Duration::MAX, |at| at.elapsed());
        if watcher.thread.is_some() || ago(watcher.failed) < AGAIN {
            return watcher.thread.is_some();
        }
        match self.watcher() {
            Ok(thread) => watcher.thread = Some(thread),
            Err(error) => {
                let now = Some(Instant::now());
                watcher.failed = now;
                if ago(watcher.told) >= TELL {
                    watcher.told = now;
                    tracing::error!(%error, "no thread can be started that watches the reads of memory; nothing is read until one can");
                }
            }
        }
        watcher.thread.is_some()
    }

    /// Another thread that watches.
    fn watcher(self: &Arc<Self>) -> io::Result<Thread> {
        let weak = Arc::downgrade(self);
        (self.spawn)(Box::new(move || watch(&weak)))
    }

    /// The read that goes on.
    pub(super) fn going_on(&self) -> Option<u64> {
        let slot = unpoisoned(&self.slot);
        slot.engine.as_ref().map(|_| slot.reading.number)
    }

    /// The engine, where this read still goes on and sleeps.
    pub(super) fn take_over(self: &Arc<Self>, number: u64) -> Option<Box<E>> {
        // Held throughout: a read that comes back meanwhile finds it either way.
        let mut slot = unpoisoned(&self.slot);
        let reading = slot.reading;
        if reading.number != number || slot.engine.is_none() || runs(reading.thread) {
            return None;
        }
        let mut engine = slot.engine.take()?;
        // This thread is the engine's from here on. Where no other can watch in its
        // place, the engine goes on all the same, and reads nothing until one does.
        unpoisoned(&self.watcher).thread = None;
        self.is_watched();
        engine.given_up(reading);
        Some(engine)
    }
}

impl<E: Relayed> Drop for ReadWatchdog<E> {
    fn drop(&mut self) {
        if let Some(watcher) = &unpoisoned(&self.watcher).thread {
            watcher.unpark();
        }
    }
}

/// Dropped where a read panics: it has come back all the same. Where the engine is laid
/// down still, whoever watches takes it up, as nobody goes on with the read.
struct Unwound<'a, E> {
    slot: &'a Mutex<Slot<E>>,
    reading: Reading,
}

impl<E> Drop for Unwound<'_, E> {
    fn drop(&mut self) {
        unpoisoned(self.slot).returned.push(self.reading);
    }
}

fn watch<E: Relayed>(watchdog: &Weak<ReadWatchdog<E>>) {
    let mut seen = (None, Instant::now());
    while let Some(watchdog) = watchdog.upgrade() {
        if !watchdog.busy.load(Ordering::SeqCst) {
            watchdog.pulse.rests(Instant::now() + REST);
            drop(watchdog);
            thread::park_timeout(REST);
            continue;
        }
        watchdog.pulse.works();
        let now = watchdog.going_on();
        if now.is_none() || now != seen.0 {
            seen = (now, Instant::now());
        } else if seen.1.elapsed() >= PATIENCE
            && let Some(engine) = now.and_then(|number| watchdog.take_over(number))
        {
            drop(watchdog);
            // For people who look at threads; nothing depends on it.
            let _ = set_name(c"engine");
            engine.run();
            return;
        }
        drop(watchdog);
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
mod tests;
