//! Inspects files on threads of their own: a file on a hung network or FUSE
//! file system must not hold up the engine, and whoever has many files inspected
//! must not take the machine, nor the others' turns.

mod allowance;

use std::{
    collections::{HashMap, VecDeque},
    fs::File,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{EventfdFlags, eventfd},
    fs::{FsWord, Mode, OFlags, fstatfs, open},
    io::Errno,
    time::{ClockId, clock_gettime},
};

use self::allowance::Allowance;
use crate::{
    discover::FileId,
    gobinary::{self, Binary, InspectError, Inspected},
};

/// How many files are inspected side by side: each needs a core while it runs.
const SIDE_BY_SIDE: usize = 2;
/// An inspection that takes longer waits for its file system; it no longer
/// counts against [`SIDE_BY_SIDE`].
const STUCK: Duration = Duration::from_secs(5);
/// Most threads, those that are stuck included; and of one cgroup's files.
const MOST: usize = 64;
const MOST_OF_ONE: usize = 8;
/// Most files of one cgroup that wait, and of all. Of more the oldest goes: what runs
/// it is mostly gone.
const WAITING_OF_ONE: usize = 512;
const WAITING: usize = 8192;
/// After a thread could not be started.
const AGAIN: Duration = Duration::from_secs(1);
/// `FUSE_SUPER_MAGIC`.
const FUSE: FsWord = 0x6573_5546;

/// A file to be looked at.
pub(super) struct Job {
    /// Which.
    pub(super) id: FileId,
    /// The file, held without having been opened: its file system was not asked.
    pub(super) pinned: OwnedFd,
    /// Who has it looked at.
    pub(super) cgroup: u64,
    /// What it is, where that is known: it is only opened.
    pub(super) known: Option<Arc<Binary>>,
}

/// A file that has been looked at.
pub(super) struct Done {
    /// Which.
    pub(super) id: FileId,
    /// Still open, so that probes can be attached though its path may be gone.
    pub(super) file: Option<File>,
    /// Whether a program serves it, which may answer no more, or otherwise.
    pub(super) served: bool,
    /// What it is, or why that cannot be told.
    pub(super) result: Result<Inspected, Failed>,
}

/// Why it is not known what a file is.
#[derive(Debug)]
pub(super) enum Failed {
    /// It may go better another time.
    Passing(String),
    /// It will not.
    Damaged(String),
    /// Too many waited before it.
    LeftOut,
}

impl From<InspectError> for Failed {
    fn from(error: InspectError) -> Self {
        let text = error.to_string();
        match error {
            InspectError::Io { .. } | InspectError::Metadata(_) => Self::Passing(text),
            _ => Self::Damaged(text),
        }
    }
}

struct Finished {
    done: Done,
    cgroup: u64,
    cpu: Duration,
}

struct Running {
    id: FileId,
    cgroup: u64,
    since: Instant,
}

/// Files on their way.
pub(super) struct Inspector {
    wake: Arc<OwnedFd>,
    sender: mpsc::Sender<Finished>,
    receiver: mpsc::Receiver<Finished>,
    waiting: HashMap<u64, VecDeque<Job>>,
    running: Vec<Running>,
    left_out: Vec<FileId>,
    allowance: Allowance,
    /// Whether all that waits may be inspected at once.
    hurries: bool,
    /// No thread could be started a moment ago.
    no_thread: Option<Instant>,
    cpu: Duration,
}

impl Inspector {
    /// Where the observer may take `percent` of one core.
    pub(super) fn new(percent: f64) -> rustix::io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let (sender, receiver) = mpsc::channel();
        Ok(Self {
            wake: Arc::new(wake),
            sender,
            receiver,
            waiting: HashMap::new(),
            running: Vec::new(),
            left_out: Vec::new(),
            allowance: Allowance::new(percent, Instant::now()),
            hurries: true,
            no_thread: None,
            cpu: Duration::ZERO,
        })
    }

    /// Readable when [`Self::done`] has something.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Whether nothing is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// What ran when the observer began has been looked at: from here on it is
    /// counted what inspections take.
    pub(super) fn hurry_no_more(&mut self) {
        self.hurries = false;
    }

    /// CPU time of all inspections so far.
    pub(super) fn cpu(&self) -> Duration {
        self.cpu
    }

    /// When something that waits may be begun, though nothing else happens.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.waiting.is_empty() {
            return None;
        }
        let now = Instant::now();
        if let Some(failed) = self.no_thread {
            return Some(failed + AGAIN);
        }
        if self.running_now() >= SIDE_BY_SIDE || self.running.len() >= MOST {
            let stuck = self.running.iter().map(|it| it.since + STUCK);
            return stuck.filter(|at| *at > now).min();
        }
        let free = self
            .waiting
            .keys()
            .filter(|cgroup| !self.is_crowded(**cgroup));
        free.map(|cgroup| self.allowance.due(*cgroup, now)).min()
    }

    pub(super) fn submit(&mut self, job: Job) {
        let waiting = self.waiting.values().map(VecDeque::len).sum::<usize>();
        if waiting >= WAITING
            && let Some(most) = self.waiting.values_mut().max_by_key(|jobs| jobs.len())
        {
            self.left_out.extend(most.pop_front().map(|job| job.id));
            self.waiting.retain(|_, jobs| !jobs.is_empty());
        }
        let of_it = self.waiting.entry(job.cgroup).or_default();
        if of_it.len() >= WAITING_OF_ONE && !self.hurries {
            self.left_out.extend(of_it.pop_front().map(|job| job.id));
        }
        of_it.push_back(job);
        self.start_next();
    }

    /// What has been inspected since the last call.
    pub(super) fn done(&mut self) -> Vec<Done> {
        let mut count = [0; 8];
        // Only resets the descriptor; that there was nothing to read is fine.
        let _ = rustix::io::read(&*self.wake, &mut count);
        let now = Instant::now();
        let mut all: Vec<Done> = Vec::new();
        for Finished { done, cgroup, cpu } in self.receiver.try_iter() {
            self.cpu += cpu;
            if !self.hurries {
                self.allowance.take(cgroup, now, cpu);
            }
            self.running.retain(|running| running.id != done.id);
            all.push(done);
        }
        all.extend(self.left_out.drain(..).map(|id| Done {
            id,
            file: None,
            served: false,
            result: Err(Failed::LeftOut),
        }));
        self.start_next();
        all
    }

    fn start_next(&mut self) {
        if self
            .no_thread
            .is_some_and(|failed| failed.elapsed() < AGAIN)
        {
            return;
        }
        self.no_thread = None;
        while self.running_now() < SIDE_BY_SIDE && self.running.len() < MOST {
            let Some(job) = self.next() else { return };
            let (id, cgroup) = (job.id, job.cgroup);
            let running = Running {
                id,
                cgroup,
                since: Instant::now(),
            };
            if let Err((error, job)) = self.start(job) {
                tracing::warn!(%error, "cannot start a thread to inspect a file; trying again");
                self.waiting.entry(cgroup).or_default().push_front(job);
                self.no_thread = Some(Instant::now());
                return;
            }
            self.running.push(running);
        }
    }

    /// The next that may be inspected: of the cgroup that had least of it lately.
    fn next(&mut self) -> Option<Job> {
        let now = Instant::now();
        let may = |cgroup: &u64| {
            !self.is_crowded(*cgroup) && (self.hurries || self.allowance.due(*cgroup, now) <= now)
        };
        let cgroup = *self.waiting.keys().filter(|it| may(it)).max_by(|a, b| {
            let left = |cgroup: u64| self.allowance.left(cgroup, now);
            left(**a).total_cmp(&left(**b))
        })?;
        let jobs = self.waiting.get_mut(&cgroup)?;
        let job = jobs.pop_front();
        if jobs.is_empty() {
            self.waiting.remove(&cgroup);
        }
        job
    }

    /// Whether as many threads as may be wait for files of a cgroup.
    fn is_crowded(&self, cgroup: u64) -> bool {
        let of_it = self.running.iter().filter(|it| it.cgroup == cgroup);
        of_it.count() >= MOST_OF_ONE
    }

    fn start(&self, job: Job) -> Result<(), (std::io::Error, Job)> {
        let sender = self.sender.clone();
        let wake = Arc::clone(&self.wake);
        // Taken by the thread; where there is none, it is still here.
        let place = Arc::new(std::sync::Mutex::new(Some(job)));
        let theirs = Arc::clone(&place);
        let take = |place: &std::sync::Mutex<Option<Job>>| {
            let mut place = place
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            place.take()
        };
        let work = move || {
            let Some(job) = take(&theirs) else { return };
            let cgroup = job.cgroup;
            let done = look(job);
            let time = clock_gettime(ClockId::ThreadCPUTime);
            let cpu = Duration::new(time.tv_sec as u64, time.tv_nsec as u32);
            let finished = Finished { done, cgroup, cpu };
            // The engine may be gone by now; then nobody wants the result.
            if sender.send(finished).is_ok() {
                let _ = rustix::io::write(&*wake, &1u64.to_ne_bytes());
            }
        };
        match thread::Builder::new().name("inspect".into()).spawn(work) {
            Ok(_) => Ok(()),
            Err(error) => match take(&place) {
                Some(job) => Err((error, job)),
                None => Ok(()),
            },
        }
    }

    fn running_now(&self) -> usize {
        self.running
            .iter()
            .filter(|running| running.since.elapsed() < STUCK)
            .count()
    }
}

/// All that may take as long as the file's system likes.
fn look(job: Job) -> Done {
    let Job {
        id, pinned, known, ..
    } = job;
    let failed = |error: Errno| Done {
        id,
        file: None,
        served: false,
        result: Err(Failed::Passing(format!("cannot open it: {error}"))),
    };
    // NONBLOCK: neither a FIFO nor a file lease may hold the observer up.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let path = format!("/proc/self/fd/{}", pinned.as_raw_fd());
    let file = match open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(error) => return failed(error),
    };
    let served = match fstatfs(&file) {
        Ok(system) => system.f_type == FUSE,
        Err(error) => return failed(error),
    };
    let result = match known {
        Some(binary) => Ok(Inspected::Go(Box::new(binary.as_ref().clone()))),
        // Inspection returns errors; should a hostile file find a panic
        // all the same, it costs that file's coverage and nothing else.
        None => match catch_unwind(AssertUnwindSafe(|| gobinary::inspect(&file))) {
            Ok(result) => result.map_err(Failed::from),
            Err(_) => Err(Failed::Damaged("inspection panicked".to_owned())),
        },
    };
    Done {
        id,
        file: Some(file),
        served,
        result,
    }
}
