//! The engine's thread: events in, snapshots out.

mod alone;
mod blocked;
mod groups;
mod intake;
mod libraries;
mod sampling;
mod spending;

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroUsize,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use lru::LruCache;
use observer_ebpf::{Event, EventKind, ProcessKey, family::Selection};
use observer_go::discover::{self, Executable, FileId};
use observer_probe::{Features, HitCost, LinkMode, Probes};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use tokio::sync::watch;

use self::{blocked::Blocked, groups::Newcomers, intake::Ended, sampling::Round};
use super::{
    budget::{Budget, at_once},
    ceiling::Ceiling,
    cgroups::Cgroups,
    creators::Creators,
    exclusion::Exclusion,
    held::Held,
    hosts::Hosts,
    inspector::Inspector,
    lineage::{Lineage, Proc},
    observation::{Health, Snapshot},
    processes::Processes,
    relay::{Reading, Relay, Relayed},
    targets::Targets,
    unreadable::Unreadable,
};
use crate::vitals::{Pulse, Vitals};

/// How often everything is compared with /proc while events were missed.
const SWEEP: Duration = Duration::from_secs(5);
/// The same where there are no events at all, so that nobody tells of programs
/// that begin.
const SWEEP_WITHOUT_EVENTS: Duration = Duration::from_secs(1);
/// How often that is done where no event was missed.
const FULL_SWEEP: Duration = Duration::from_secs(30);
/// How often it is looked at what probes cost, at least.
const ACCOUNT: Duration = Duration::from_secs(1);
/// How long the first look at every file may hold back the first snapshot.
const FIRST_LOOK: Duration = Duration::from_secs(10);
/// Execs remembered whose process was gone before it could be looked at.
const EXECS: NonZeroUsize = NonZeroUsize::new(8192).expect("not zero");

/// The node's observer could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A descriptor or the thread could not be made.
    #[error("cannot start the engine: {0}")]
    Engine(#[from] std::io::Error),
}

/// The latest snapshot, `None` until there is one.
pub type Snapshots = watch::Receiver<Option<Arc<Snapshot>>>;
/// When probes on every goroutine are to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoroutineProbes {
    /// Where a process's state does not tell as much.
    Auto,
    /// As long as the budget allows.
    Always,
}

/// What observing may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Percent of one CPU that probes may take from a process.
    pub probe_budget: f64,
    /// Percent of one core that the observer may take.
    pub cpu_ceiling: f64,
    /// What a probe hit costs.
    pub price: HitCost,
    /// When probes on every goroutine are to be set.
    pub goroutine_probes: GoroutineProbes,
    /// How many creators of goroutines are named; 0 for no walks.
    pub creators: usize,
    /// Which families are probed.
    pub selection: Selection,
}

/// What the observer found where it was started.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// What it lacks, named, with what is lost by it.
    pub missing: Vec<String>,
    /// What the kernel can do.
    pub features: Features,
}

/// The running engine.
pub struct Node {
    /// Nothing comes; it closes when the engine is gone, whichever thread it ran on.
    ended: mpsc::Receiver<()>,
    stop: Arc<Stop>,
}

struct Stop {
    flag: AtomicBool,
    wake: OwnedFd,
}

impl Stop {
    fn new() -> std::io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self {
            flag: AtomicBool::new(false),
            wake,
        })
    }
}

impl Node {
    /// Starts observing. `probes` is `None` where eBPF is not to be had; then
    /// processes are found, and none of their figures.
    pub fn start(
        interval: Duration,
        mut probes: Option<Probes>,
        environment: Environment,
        limits: Limits,
        exclusion: Exclusion,
        vitals: &Vitals,
    ) -> Result<(Self, Snapshots), StartError> {
        let cautious = limits.goroutine_probes == GoroutineProbes::Auto
            && at_once(limits.probe_budget).is_some()
            && (probes.as_ref()).is_some_and(|it| it.mode() == LinkMode::PerfEvent);
        if let (true, Some(probes)) = (cautious, &mut probes) {
            probes.be_cautious();
        }
        let (sender, receiver) = watch::channel(None);
        let stop = Arc::new(Stop::new()?);
        let (alive, ended) = mpsc::channel();
        let engine = Box::new(Engine {
            probes,
            cautious,
            environment,
            creators: Creators::start(limits.creators, receiver.clone(), vitals)?,
            exclusion,
            alive: Some(alive),
            ..Engine::new(interval, limits, sender, Arc::clone(&stop), vitals)?
        });
        thread::Builder::new()
            .name("engine".into())
            .spawn(move || engine.run())?;
        Ok((Self { ended, stop }, receiver))
    }

    /// Stops observing. The kernel takes the probes off when the process ends.
    pub fn stop(self) {
        self.stop.flag.store(true, Ordering::Relaxed);
        let _ = rustix::io::write(&self.stop.wake, &1u64.to_ne_bytes());
        // Nothing is ever sent: an error is the end of the engine.
        let _ = self.ended.recv();
    }
}

/// When what is to be done next.
struct Schedule {
    began: Instant,
    next_sample: Instant,
    next_sweep: Instant,
    next_account: Instant,
    /// Nothing has been published yet.
    first: bool,
}

struct Engine {
    /// Dropped first: that it ended is the reason why all behind it does.
    pulse: Pulse,
    schedule: Schedule,
    relay: Arc<Relay<Self>>,
    /// The round of samples that goes on.
    round: Option<Round>,
    /// The reads that were given up.
    blocked: Blocked,
    ceiling: Ceiling,
    budget: Budget,
    price: HitCost,
    goroutine_probes: GoroutineProbes,
    /// Probes leave so slowly that newcomers get none on each goroutine.
    cautious: bool,
    newcomers: Option<Newcomers>,
    probes: Option<Probes>,
    environment: Environment,
    creators: Option<Creators>,
    inspector: Inspector,
    /// Which families are probed.
    selection: Selection,
    targets: Targets,
    processes: Processes,
    exclusion: Exclusion,
    left_alone: Held,
    hosts: Hosts,
    cgroups: Cgroups,
    lineage: Lineage,
    /// Processes whose file is being inspected, and when they ran it.
    waiting: HashMap<FileId, Vec<(Executable, u32, Option<u64>)>>,
    /// When a process that was gone too soon ran its program.
    execs: LruCache<u32, u64>,
    /// Targets whose probes are to change once nobody traces their processes.
    held: HashSet<u32>,
    /// Whose unobserved processes were, of targets that had to give way.
    disowned: LruCache<ProcessKey, u32>,
    /// Keys in the kernel's maps that belonged to nobody at the last sweep.
    strays: HashSet<ProcessKey>,
    unreadable: Unreadable,
    map_entries: std::collections::BTreeMap<&'static str, u64>,
    /// When everything was last compared with /proc, and how many events had
    /// been lost by then; `None` where there are none.
    compared: Option<(Instant, Option<u64>)>,
    state_samples: u64,
    state_dropped: u64,
    sender: watch::Sender<Option<Arc<Snapshot>>>,
    stop: Arc<Stop>,
    /// Last, so that it closes when all else is gone.
    #[expect(dead_code, reason = "its drop is what is heard")]
    alive: Option<mpsc::Sender<()>>,
}

impl Relayed for Engine {
    fn run(self: Box<Self>) {
        let mut engine = Some(self);
        while let Some(this) = engine {
            if this.stop.flag.load(Ordering::Relaxed) {
                return;
            }
            engine = this.turn();
        }
    }

    fn given_up(&mut self, reading: Reading) {
        self.give_up(reading);
    }
}

impl Engine {
    /// One that knows nothing yet, and has no probes.
    fn new(
        interval: Duration,
        limits: Limits,
        sender: watch::Sender<Option<Arc<Snapshot>>>,
        stop: Arc<Stop>,
        vitals: &Vitals,
    ) -> std::io::Result<Self> {
        let began = Instant::now();
        Ok(Self {
            pulse: vitals.part("engine"),
            schedule: Schedule {
                began,
                next_sample: began + interval,
                next_sweep: began,
                next_account: began,
                first: true,
            },
            relay: Relay::start(vitals.part("watch"))?,
            round: None,
            blocked: Blocked::default(),
            ceiling: Ceiling::new(limits.cpu_ceiling, interval),
            budget: Budget::new(limits.probe_budget),
            price: limits.price,
            goroutine_probes: limits.goroutine_probes,
            selection: limits.selection,
            cautious: false,
            newcomers: None,
            probes: None,
            environment: Environment::default(),
            creators: None,
            inspector: Inspector::new(limits.cpu_ceiling, limits.selection)?,
            targets: Targets::new(),
            processes: Processes::new(),
            exclusion: Exclusion::default(),
            left_alone: Held::default(),
            hosts: Hosts::default(),
            cgroups: Cgroups::new(),
            lineage: Lineage::new(),
            waiting: HashMap::new(),
            execs: LruCache::new(EXECS),
            disowned: LruCache::new(EXECS),
            held: HashSet::new(),
            strays: HashSet::new(),
            unreadable: Unreadable::default(),
            map_entries: std::collections::BTreeMap::new(),
            compared: None,
            state_samples: 0,
            state_dropped: 0,
            sender,
            stop,
            alive: None,
        })
    }

    /// Everything once. `None` where another thread goes on with the engine, or it ends.
    fn turn(mut self: Box<Self>) -> Option<Box<Self>> {
        self.pulse.works();
        if Instant::now() >= self.schedule.next_sweep {
            // Without it probes would stay, and who wants them back would wait.
            if self.probes.as_ref().is_some_and(Probes::has_lost_a_thread) {
                tracing::error!("the thread that takes probes away has ended");
                return None;
            }
            self.sweep();
            let pause = match &self.probes {
                Some(_) => SWEEP,
                None => SWEEP_WITHOUT_EVENTS,
            };
            self.schedule.next_sweep = Instant::now() + pause;
        }
        let all = self.inspector.is_idle() && self.exclusion.is_ready();
        let looked = all || self.schedule.began.elapsed() > FIRST_LOOK;
        if self.schedule.first && looked {
            self.schedule.first = false;
            self.inspector.hurry_no_more();
            self.schedule.next_sample = Instant::now();
        }
        if !self.schedule.first && Instant::now() >= self.schedule.next_sample {
            self = self.sample()?;
            self.keep_ceiling();
            // A late sample is not made up for by a burst of samples.
            let next = self.schedule.next_sample + self.ceiling.interval();
            self.schedule.next_sample = next.max(Instant::now());
        }
        self = self.sample_newcomers()?;
        if self.ceiling.interval() > ACCOUNT && Instant::now() >= self.schedule.next_account {
            self.keep_budget(true);
            self.schedule.next_account = Instant::now() + ACCOUNT;
        }
        let next = self.next();
        self.pulse.rests(next);
        self.wait(next);
        self.pulse.works();
        self.events();
        self.heed();
        if self.probes.as_ref().is_some_and(Probes::is_wanted) {
            self.give_way();
        }
        for done in self.inspector.done() {
            self.inspected(done);
        }
        for found in self.inspector.found() {
            self.searched(found);
        }
        Some(self)
    }

    /// When there is something to be done though nothing happens.
    fn next(&self) -> Instant {
        let schedule = &self.schedule;
        let sample = if schedule.first {
            schedule.began + FIRST_LOOK
        } else {
            schedule.next_sample
        };
        let account = (self.ceiling.interval() > ACCOUNT).then_some(schedule.next_account);
        let others = [self.newcomers_due(), account, self.inspector.due()];
        let others = others.into_iter().flatten();
        others.fold(sample.min(schedule.next_sweep), Instant::min)
    }

    /// Sleeps until something happens or `until`.
    fn wait(&self, until: Instant) {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let mut fds = vec![
            PollFd::from_borrowed_fd(self.inspector.fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.stop.wake.as_fd(), PollFlags::IN),
        ];
        if let Some(probes) = &self.probes {
            fds.push(PollFd::from_borrowed_fd(probes.event_fd(), PollFlags::IN));
            fds.push(PollFd::from_borrowed_fd(probes.wanted_fd(), PollFlags::IN));
        }
        if let Some(wishes) = &self.exclusion.wishes {
            fds.push(PollFd::from_borrowed_fd(wishes.changed(), PollFlags::IN));
        }
        // EINTR and the like only make the loop look once more.
        let _ = poll(&mut fds, Some(&timeout));
    }

    fn events(&mut self) {
        let mut events = Vec::new();
        if let Some(probes) = &mut self.probes {
            probes.drain(|event| events.push(event));
        }
        for event in events {
            self.event(&event);
        }
    }

    /// Lets those write who wait to write to files with probes. Who ran them until
    /// then has told so in an event, and is counted.
    fn give_way(&mut self) {
        let wanted = self.probes.as_ref().map(Probes::wanted);
        for target in wanted.unwrap_or_default() {
            // The next sweep asks again.
            if self.is_traced(target) {
                continue;
            }
            let freed = self.targets.give_way(target, self.probes.as_mut());
            self.disown(target, freed);
        }
    }

    /// A target that lost its probes owns these in the kernel no longer.
    fn disown(&mut self, target: u32, freed: Vec<ProcessKey>) {
        for key in freed {
            // Whoever is not observed may end before it is looked at.
            if !self.processes.contains(key.tgid) {
                self.disowned.put(key, target);
            }
        }
    }

    fn event(&mut self, event: &Event) {
        self.cgroups.ask(event);
        self.lineage.told(event, &Proc);
        match EventKind::from_u32(event.kind) {
            Some(EventKind::Exec) => self.exec(event),
            Some(EventKind::Fork | EventKind::FirstHit) => {
                if !self.knows(event.tgid) {
                    let exec = self.execs.get(&event.tgid).copied();
                    self.look(event.tgid, exec);
                }
            }
            Some(EventKind::Exit) => {
                if self.processes.contains(event.tgid) {
                    self.end(event.tgid, Ended::Exited);
                } else {
                    self.left_alone.remove(event.tgid);
                    self.short_lived(event);
                }
            }
            Some(
                kind @ (EventKind::TooMuchAtOnce
                | EventKind::TooManyStops
                | EventKind::TooManySpans),
            ) => self.too_much_at_once(event, kind),
            None => {}
        }
    }

    /// Whether the process was looked at, and is observed or left alone since.
    fn knows(&self, pid: u32) -> bool {
        self.processes.contains(pid) || self.left_alone.contains(pid)
    }

    fn health(&self) -> Health {
        Health {
            kernel: self.probes.as_ref().map(Probes::health).unwrap_or_default(),
            targets: self.targets.len() as u64,
            sites: self.targets.sites() as u64,
            inspected: self.targets.inspected.clone(),
            refused_attachments: self.targets.refused,
            state_samples: self.state_samples,
            state_dropped: self.state_dropped,
            map_entries: self.map_entries.clone(),
            missing: self.environment.missing.clone(),
            features: self.environment.features.clone(),
            unreadable: self.unreadable.by_reason(),
            held: self.left_alone.by_reason(),
            price: self.price,
            interval: self.ceiling.interval(),
            crowded: self.processes.crowded(),
        }
    }

    /// Whether the kernel told of every process that came and went since
    /// everything was last compared with /proc, which is done now if not.
    fn saw_everything(&mut self) -> bool {
        let lost = self
            .probes
            .as_ref()
            .map(|probes| probes.health().lost_events);
        let now = Instant::now();
        let recent = |(at, _): &(Instant, _)| now.duration_since(*at) < FULL_SWEEP;
        let saw = lost.is_some()
            && self
                .compared
                .as_ref()
                .is_some_and(|compared| recent(compared) && compared.1 == lost);
        if !saw {
            self.compared = Some((now, lost));
        }
        saw
    }

    /// Sets right what events missed: a full ring buffer loses some.
    fn sweep(&mut self) {
        // Should a signal have been missed.
        self.give_way();
        let saw_everything = self.saw_everything();
        for pid in self.processes.pids() {
            let gone = !saw_everything
                && self.processes.get(pid).is_some_and(|tracked| {
                    !discover::alive(pid, tracked.observation.process.start_ticks)
                });
            if gone {
                self.end(pid, Ended::Exited);
            } else if self.has_begun(pid) || (!saw_everything && self.is_replaced(pid)) {
                self.end(pid, Ended::ByExec);
                self.look(pid, None);
            }
        }
        if !saw_everything {
            self.scan();
        }
        self.keep_held();
        self.keep_hosts();
        self.targets.retire(self.probes.as_mut());
        self.take_strays();
        self.close_accounts();
    }

    /// Whether a process that had only forked when it was looked at runs a
    /// program by now, and no event told of it.
    fn has_begun(&self, pid: u32) -> bool {
        self.processes
            .get(pid)
            .is_some_and(|tracked| tracked.observation.process.forked)
            && !discover::has_only_forked(pid)
    }

    /// Whether a process runs another program than it is known to, and no event told
    /// of it. A file is told by its inode: whatever is done to it, it changes no more
    /// while it runs.
    fn is_replaced(&self, pid: u32) -> bool {
        let Some(tracked) = self.processes.get(pid) else {
            return false;
        };
        let registered = self.probes.as_ref().zip(tracked.key);
        let registered = registered.and_then(|(probes, key)| {
            let now = probes.registration(pid)?;
            Some(now.epoch != key.epoch)
        });
        let known = tracked.observation.process.executable.id;
        let other = |id: FileId| (id.device, id.inode) != (known.device, known.inode);
        // Whoever cannot be looked at is on its way out.
        let runs_other = || discover::executable(pid).is_ok_and(|now| other(now.id));
        registered.unwrap_or(false) || runs_other()
    }

    /// Entries in the kernel's maps that belong to no process known: one that
    /// stays a stray for a whole sweep goes, unless the process is there.
    fn take_strays(&mut self) {
        let Some(probes) = &mut self.probes else {
            return;
        };
        let known: HashSet<ProcessKey> = self.processes.keys().collect();
        let mut inventory = probes.inventory();
        let keys = inventory.keys.iter().copied();
        let strays: HashSet<ProcessKey> = keys.filter(|key| !known.contains(key)).collect();
        let mut taken = HashSet::new();
        for key in strays.intersection(&self.strays) {
            let registered = probes
                .registration(key.tgid)
                .is_some_and(|it| it.epoch == key.epoch);
            if registered && discover::exists(key.tgid) {
                continue;
            }
            probes.take(*key);
            if registered {
                // It ended just before it was registered.
                probes.unregister(key.tgid);
            }
            taken.insert(*key);
        }
        if !taken.is_empty() {
            probes.forget_spans(|process| !taken.contains(&process));
            inventory = probes.inventory();
        }
        self.map_entries = inventory.entries;
        self.strays = strays;
    }
}

#[cfg(test)]
mod tests;
