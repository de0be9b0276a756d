//! Lines on their way to where they are written, by a thread that may wait for ever: on a
//! pipe that nobody reads, or a disk that hangs.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait; more are left out.
const WAITING: usize = 1024;
/// How long the end may wait for lines to be written.
const LAST: Duration = Duration::from_secs(1);

enum Message {
    Line(Vec<u8>),
    /// Tells that all before it is written.
    Flush(Sender<()>),
}

/// Takes lines; never waits, never fails.
#[derive(Clone)]
pub(super) struct Lines {
    sender: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

impl Lines {
    /// Lines to `out`, one write each.
    pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        let lost = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&lost);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(out, &receiver, &counted))?;
        Ok(Self { sender, lost })
    }

    pub(super) fn put(&self, line: Vec<u8>) {
        if self.sender.try_send(Message::Line(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all is written, or for a second.
    pub(super) fn flush(&self) {
        let until = Instant::now() + LAST;
        let (done, is_done) = channel();
        let mut message = Message::Flush(done);
        loop {
            match self.sender.try_send(message) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) if Instant::now() < until => message = back,
                Err(_) => return,
            }
            thread::sleep(Duration::from_millis(5));
        }
        let _ = is_done.recv_timeout(until.saturating_duration_since(Instant::now()));
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

fn write_all(mut out: impl Write, lines: &Receiver<Message>, lost: &AtomicU64) {
    let mut told = 0;
    for message in lines {
        match message {
            Message::Line(line) => {
                let missing = lost.load(Ordering::Relaxed);
                if missing > told {
                    let lack = missing - told;
                    let line = format!("observer: {lack} lines of the log were left out here\n");
                    if out.write_all(line.as_bytes()).is_ok() {
                        told = missing;
                    }
                }
                if out.write_all(&line).is_err() {
                    lost.fetch_add(1, Ordering::Relaxed);
                }
            }
            // Whoever asked may have gone on by now.
            Message::Flush(done) => drop(done.send(())),
        }
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Each write is of one whole event.
impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
