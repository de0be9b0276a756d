//! Inspects files on threads of their own: a file on a hung network or FUSE
//! file system must not hold up the engine, and whoever has many files inspected
//! must not take the machine, nor the others' turns.
//!
//! Searches for Go libraries take what executables leave: of the threads, and of the
//! CPU time that both may take together.

mod cpu;
mod cpu_quota;
mod file;
mod file_system;
mod library;

use std::{
    collections::{HashMap, VecDeque},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use observer_ebpf::family::Selection;
use observer_go::discover::FileId;
use rustix::event::{EventfdFlags, eventfd};

use self::{
    cpu::cpu_time,
    cpu_quota::CpuQuota,
    file::look,
    library::{Judged, search},
};
pub(super) use self::{
    file::{Done, Failed, Job, Opened},
    library::{Found, GoLibrary, Search},
};

/// How many files are inspected side by side: each needs a core while it runs.
const SIDE_BY_SIDE: usize = 2;
/// An inspection that takes longer waits for its file system; it no longer
/// counts against [`SIDE_BY_SIDE`].
const STUCK: Duration = Duration::from_secs(2);
/// Most threads, those that are stuck included; and of one cgroup's files.
const MOST: usize = 64;
const MOST_OF_ONE: usize = 8;
/// The same for searches, each of which a process may hold up: executables need the
/// others. Of those that are not stuck there is one at a time.
const MOST_SEARCHES: usize = 16;
const MOST_SEARCHES_OF_ONE: usize = 2;
/// Most files of one cgroup that wait, and of all. Of more the oldest goes: what runs
/// it is mostly gone.
const WAITING_OF_ONE: usize = 512;
const WAITING: usize = 8192;
/// After a thread could not be started.
const AGAIN: Duration = Duration::from_secs(1);

/// All that a thread does.
type Work = Box<dyn FnOnce() + Send>;

/// What a thread is to do.
enum Task {
    File(Job),
    Search(Search),
}

impl Task {
    fn cgroup(&self) -> u64 {
        match self {
            Self::File(job) => job.cgroup,
            Self::Search(search) => search.cgroup,
        }
    }

    fn is_search(&self) -> bool {
        matches!(self, Self::Search(_))
    }
}

/// What it has done.
enum Outcome {
    File(Done),
    Search(Found),
}

struct Finished {
    outcome: Outcome,
    number: u64,
    cgroup: u64,
    cpu: Duration,
}

struct Running {
    number: u64,
    cgroup: u64,
    is_search: bool,
    since: Instant,
}

impl Running {
    fn is_stuck(&self) -> bool {
        self.since.elapsed() >= STUCK
    }
}

/// Files on their way.
pub(super) struct Inspector {
    wake: Arc<OwnedFd>,
    selection: Selection,
    sender: mpsc::Sender<Finished>,
    receiver: mpsc::Receiver<Finished>,
    waiting: HashMap<u64, VecDeque<Job>>,
    searches: HashMap<u64, VecDeque<Search>>,
    running: Vec<Running>,
    /// Of the last that was begun.
    number: u64,
    left_out: Vec<FileId>,
    found: Vec<Found>,
    judged: Arc<Judged>,
    allowance: CpuQuota,
    /// Whether all that waits may be inspected at once.
    hurries: bool,
    /// How a thread is started.
    spawn: fn(Work) -> io::Result<()>,
    /// No thread could be started a moment ago.
    no_thread: Option<Instant>,
    cpu: Duration,
}

impl Inspector {
    /// Where the observer may take `percent` of one core, for the probes of these families.
    pub(super) fn new(percent: f64, selection: Selection) -> rustix::io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let (sender, receiver) = mpsc::channel();
        Ok(Self {
            wake: Arc::new(wake),
            selection,
            sender,
            receiver,
            waiting: HashMap::new(),
            searches: HashMap::new(),
            running: Vec::new(),
            number: 0,
            left_out: Vec::new(),
            found: Vec::new(),
            judged: Arc::new(Judged::new()),
            allowance: CpuQuota::new(percent, Instant::now()),
            hurries: true,
            spawn,
            no_thread: None,
            cpu: Duration::ZERO,
        })
    }

    /// As if threads were started so.
    #[cfg(test)]
    pub(super) fn spawn_by(&mut self, spawn: fn(Work) -> io::Result<()>) {
        self.spawn = spawn;
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
        if self.waiting.is_empty() && self.searches.is_empty() {
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
        let files = self.waiting.keys();
        let files = files.filter(|cgroup| !self.is_crowded(**cgroup));
        let searches = self.searches.keys();
        let searches = searches.filter(|cgroup| self.may_search(**cgroup));
        let free = files.chain(searches);
        free.map(|cgroup| self.allowance.due(*cgroup, now)).min()
    }

    /// Has a program searched for Go libraries; `false` where too many of its cgroup
    /// wait for that.
    pub(super) fn search(&mut self, search: Search) -> bool {
        let of_it = self.searches.entry(search.cgroup).or_default();
        let has_room = of_it.len() < WAITING_OF_ONE;
        if has_room {
            of_it.push_back(search);
        }
        self.start_next();
        has_room
    }

    /// What searches have found by the last call of [`Self::done`].
    pub(super) fn found(&mut self) -> Vec<Found> {
        std::mem::take(&mut self.found)
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
        for finished in self.receiver.try_iter() {
            self.cpu += finished.cpu;
            if !self.hurries {
                (self.allowance).take(finished.cgroup, now, finished.cpu);
            }
            self.running.retain(|it| it.number != finished.number);
            match finished.outcome {
                Outcome::File(done) => all.push(done),
                Outcome::Search(found) => self.found.push(found),
            }
        }
        all.extend(self.left_out.drain(..).map(|id| Done {
            id,
            opened: None,
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
            let Some(task) = self.next() else { return };
            self.number += 1;
            let running = Running {
                number: self.number,
                cgroup: task.cgroup(),
                is_search: task.is_search(),
                since: Instant::now(),
            };
            if let Err((error, task)) = self.start(task, self.number) {
                tracing::warn!(%error, "failed to start a thread to inspect a file; trying again");
                match *task {
                    Task::File(job) => {
                        let of_it = self.waiting.entry(job.cgroup).or_default();
                        of_it.push_front(job);
                    }
                    Task::Search(search) => {
                        let of_it = self.searches.entry(search.cgroup).or_default();
                        of_it.push_front(search);
                    }
                }
                self.no_thread = Some(Instant::now());
                return;
            }
            self.running.push(running);
        }
    }

    /// The next that may be inspected: of the cgroup that had least of it lately.
    /// Whoever began a program waits for its executable, and nobody for a search.
    fn next(&mut self) -> Option<Task> {
        let files = self.waiting.keys().copied();
        if let Some(cgroup) = self.first(files.filter(|it| !self.is_crowded(*it))) {
            return take(&mut self.waiting, cgroup).map(Task::File);
        }
        let searches = self.searches.keys().copied();
        let cgroup = self.first(searches.filter(|it| self.may_search(*it)))?;
        take(&mut self.searches, cgroup).map(Task::Search)
    }

    /// Of these cgroups the one that had least lately, of those that may have more.
    fn first(&self, cgroups: impl Iterator<Item = u64>) -> Option<u64> {
        let now = Instant::now();
        let may = |cgroup: &u64| self.hurries || self.allowance.due(*cgroup, now) <= now;
        cgroups.filter(may).max_by(|a, b| {
            let left = |cgroup: u64| self.allowance.left(cgroup, now);
            left(*a).total_cmp(&left(*b))
        })
    }

    /// Whether as many threads as may be wait for files of a cgroup.
    fn is_crowded(&self, cgroup: u64) -> bool {
        let of_it = self.running.iter().filter(|it| it.cgroup == cgroup);
        of_it.count() >= MOST_OF_ONE
    }

    /// Whether one thread more may search in programs of a cgroup.
    fn may_search(&self, cgroup: u64) -> bool {
        let searching = || self.running.iter().filter(|it| it.is_search);
        let of_it = searching().filter(|it| it.cgroup == cgroup);
        searching().all(Running::is_stuck)
            && searching().count() < MOST_SEARCHES
            && of_it.count() < MOST_SEARCHES_OF_ONE
            && !self.is_crowded(cgroup)
    }

    fn start(&self, task: Task, number: u64) -> Result<(), (io::Error, Box<Task>)> {
        let sender = self.sender.clone();
        let wake = Arc::clone(&self.wake);
        let judged = Arc::clone(&self.judged);
        let selection = self.selection;
        // Taken by the thread; where there is none, it is still here.
        let place = Arc::new(std::sync::Mutex::new(Some(task)));
        let theirs = Arc::clone(&place);
        let take = |place: &std::sync::Mutex<Option<Task>>| {
            let mut place = place
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            place.take()
        };
        let work = move || {
            let Some(task) = take(&theirs) else { return };
            let cgroup = task.cgroup();
            let outcome = match task {
                Task::File(job) => Outcome::File(look(job, selection)),
                Task::Search(it) => Outcome::Search(search(&it, &judged)),
            };
            let finished = Finished {
                outcome,
                number,
                cgroup,
                cpu: cpu_time(),
            };
            // The engine may be gone by now; then nobody wants the result.
            if sender.send(finished).is_ok() {
                let _ = rustix::io::write(&*wake, &1u64.to_ne_bytes());
            }
        };
        match (self.spawn)(Box::new(work)) {
            Ok(()) => Ok(()),
            Err(error) => match take(&place) {
                Some(task) => Err((error, Box::new(task))),
                None => Ok(()),
            },
        }
    }

    fn running_now(&self) -> usize {
        self.running.iter().filter(|it| !it.is_stuck()).count()
    }
}

fn spawn(work: Work) -> io::Result<()> {
    let builder = thread::Builder::new().name("inspect".into());
    builder.spawn(work).map(drop)
}

/// Takes the first that waits of a cgroup.
fn take<T>(waiting: &mut HashMap<u64, VecDeque<T>>, cgroup: u64) -> Option<T> {
    let of_it = waiting.get_mut(&cgroup)?;
    let first = of_it.pop_front();
    if of_it.is_empty() {
        waiting.remove(&cgroup);
    }
    first
}

#[cfg(test)]
mod tests;
