//! Reads that go on for ever, that panic, and that nobody watches.

use std::{
    io::{self, PipeReader, PipeWriter, Read as _, pipe},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, Thread},
    time::Duration,
};

use super::{AGAIN, PATIENCE, ReadWatchdog, Reading, Relayed, Work, spawn};
use crate::liveness::{Liveness, Pulse};

fn pulse() -> Pulse {
    Liveness::default().part("watch")
}

/// Reads from pipes, as many as it was given; nobody writes to some.
struct Pipes {
    watchdog: Arc<ReadWatchdog<Self>>,
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
        let watchdog = Arc::clone(&this.watchdog);
        watchdog.busy(true);
        while let Some(mut pipe) = this.left.pop() {
            let pid = this.left.len() as u32;
            let read = move || pipe.read(&mut [0; 1]).is_ok();
            let Some((next, true)) = watchdog.read(this, pid, read) else {
                return;
            };
            this = next;
            let _ = this.told.send(Told::Read(pid));
        }
        watchdog.busy(false);
        for reading in watchdog.returned() {
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
    let watchdog = ReadWatchdog::<Pipes>::start(pulse()).expect("a thread");
    let (told, hear) = mpsc::channel();
    let mut held = Vec::new();
    let mut left = Vec::new();
    for full in [true, false, true, false, false, true] {
        let (reader, writer) = made(full);
        left.push(reader);
        held.extend(writer);
    }
    let engine = Box::new(Pipes {
        watchdog: Arc::clone(&watchdog),
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
    assert_eq!(watchdog.returned(), []);
    drop(held.pop());
    let returned = loop {
        let returned = watchdog.returned();
        if !returned.is_empty() {
            break returned;
        }
        thread::yield_now();
    };
    let pids: Vec<u32> = returned.iter().map(|reading| reading.pid).collect();
    assert_eq!(pids, [4]);
}

#[test]
fn a_read_that_panics_costs_itself_and_comes_back() {
    fn panics() {
        std::panic::resume_unwind(Box::new("a bug"));
    }
    let watchdog = ReadWatchdog::<Pipes>::start(pulse()).expect("a thread");
    let (told, hear) = mpsc::channel();
    let engine = Box::new(Pipes {
        watchdog: Arc::clone(&watchdog),
        left: vec![made(true).0],
        told,
    });
    watchdog.busy(true);
    let reads = thread::spawn(move || watchdog.read(engine, 9, panics).is_some());
    assert!(reads.join().is_err());
    let next = || hear.recv_timeout(Duration::from_secs(60)).expect("news");
    let told: Vec<Told> = (0..4).map(|_| next()).collect();
    let expected = [
        Told::GivenUp(9),
        Told::Read(0),
        Told::Returned(9),
        Told::Ended,
    ];
    assert_eq!(told, expected);
}

#[test]
fn the_engine_goes_on_also_where_no_other_thread_can_watch() {
    static NO_MORE: AtomicBool = AtomicBool::new(false);
    fn limited(work: Work) -> io::Result<Thread> {
        if NO_MORE.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        spawn(work)
    }
    let watchdog = ReadWatchdog::<Pipes>::start_by(limited, pulse()).expect("a thread");
    NO_MORE.store(true, Ordering::SeqCst);
    let (told, hear) = mpsc::channel();
    let (silent, _held) = made(false);
    let engine = Box::new(Pipes {
        watchdog: Arc::clone(&watchdog),
        left: vec![silent],
        told,
    });
    thread::spawn(move || engine.run());
    let next = || hear.recv_timeout(Duration::from_secs(60)).expect("news");
    assert_eq!([next(), next()], [Told::GivenUp(0), Told::Ended]);
    assert!(!watchdog.is_watched(), "nothing is to be read");
    NO_MORE.store(false, Ordering::SeqCst);
    thread::sleep(2 * AGAIN);
    assert!(watchdog.is_watched());
}

#[test]
fn who_waits_for_nothing_but_a_cpu_is_left_alone() {
    let watchdog = ReadWatchdog::<Pipes>::start(pulse()).expect("a thread");
    let (told, hear) = mpsc::channel();
    let engine = Box::new(Pipes {
        watchdog: Arc::clone(&watchdog),
        left: Vec::new(),
        told,
    });
    watchdog.busy(true);
    let begun = std::time::Instant::now();
    let spin = || while begun.elapsed() < 3 * PATIENCE {};
    assert!(watchdog.read(engine, 1, spin).is_some());
    assert!(hear.try_recv().is_err());
}
