//! The runtime state of one process, sample by sample.

use std::sync::Arc;

use super::{
    allocation::{self, CachedSpans},
    error::StateError,
    figures::{
        Collections, GoroutineStates, Goroutines, Heap, Pause, RuntimeSettings, Scheduler,
        StateFigures, Stops,
    },
    histogram::RuntimeHistogram,
    idle_check::IdleCheck,
    invariants,
    memory::{Memory, ProgramLayout, word},
    pacer,
    raw_sample::{Addresses, RawSample},
    scratch,
    threads::{OfThreads, Threads},
    trust::GlobalTrust,
};
use crate::{
    binary::globals::{Global, Globals},
    release::{Field, Found, Layout, StateGap, lacking},
};

/// Tries of one sample before it is dropped.
const TRIES: usize = 4;
/// Dropped samples in a row after which the last good one is no longer
/// believed either, where they contradict it.
const MOST_FAILURES: u32 = 10;

/// Reads one process's runtime state.
pub struct RuntimeReader {
    pub(super) memory: Memory,
    pub(super) layout: Arc<Layout>,
    pub(super) snapshot: RawSample,
    gate: IdleCheck,
    pub(super) threads: Threads,
    pub(super) follow_threads: bool,
    confirmed: bool,
    pub(super) threads_trust: GlobalTrust,
    pub(super) cpu_trust: GlobalTrust,
    previous: Option<Arc<StateFigures>>,
    failures: u32,
    pub(super) gaps: Vec<StateGap>,
}

impl RuntimeReader {
    /// Prepares reading; nothing of the runtime's is read yet.
    pub fn new(
        pid: u32,
        image: ProgramLayout,
        globals: &Globals,
        layout: impl Into<Arc<Layout>>,
    ) -> Result<Self, StateError> {
        Self::over(Memory::open(pid, image)?, globals, layout.into())
    }

    /// The same, of memory that is open.
    pub(super) fn over(
        memory: Memory,
        globals: &Globals,
        layout: Arc<Layout>,
    ) -> Result<Self, StateError> {
        let live = |name: &'static str, global: &Option<Global>| {
            let found = global.as_ref().ok_or(StateError::MissingGlobal(name))?;
            Ok::<_, StateError>(memory.live(found.address))
        };
        let addresses = Addresses {
            sched: live("sched", &globals.sched)?,
            allgs: live("allgs", &globals.allgs)?,
            allp: live("allp", &globals.allp)?,
            memstats: live("memstats", &globals.memstats)?,
            controller: live("gcController", &globals.gc_controller)?,
            cpu_stats: match layout.cpu_stats {
                Some(_) => live("work", &globals.cpu_stats).ok(),
                None => None,
            },
            allm: live("allm", &globals.allm).ok(),
        };
        // Up to 1.25 the Ms tell how many goroutine ids C's threads took, from
        // 1.22 how long they waited for the runtime's locks.
        let known = layout.tells_threads();
        let found = Found {
            allm: addresses.allm.is_some(),
            cpu_stats: addresses.cpu_stats.is_some(),
        };
        let gaps = lacking(&layout, found);
        Ok(Self {
            memory,
            snapshot: RawSample::new(&layout, addresses),
            gate: IdleCheck::default(),
            threads: Threads::default(),
            follow_threads: known && addresses.allm.is_some(),
            confirmed: false,
            threads_trust: GlobalTrust::default(),
            cpu_trust: GlobalTrust::default(),
            previous: None,
            failures: 0,
            gaps,
            layout,
        })
    }

    /// What this process's samples lack, and why.
    pub fn gaps(&self) -> &[StateGap] {
        &self.gaps
    }

    /// Whether nothing of the process ran since this was last asked, so that
    /// the last sample, if it is younger, still holds.
    pub fn stands_still(&mut self) -> bool {
        let still = self
            .gate
            .stands_still(&self.memory, &self.layout, &self.snapshot);
        still && self.previous.is_some()
    }

    /// Reads the state once. An error drops this sample; whether the next may
    /// succeed says [`StateError::is_passing`].
    pub fn sample(&mut self) -> Result<Arc<StateFigures>, StateError> {
        scratch::with(|scratch| {
            self.snapshot.swap_buffer(&mut scratch.snapshot);
            self.threads.swap_buffer(&mut scratch.threads);
            let result = self.sample_once(&mut scratch.spans);
            self.snapshot.swap_buffer(&mut scratch.snapshot);
            self.threads.swap_buffer(&mut scratch.threads);
            result
        })
    }

    fn sample_once(&mut self, spans: &mut CachedSpans) -> Result<Arc<StateFigures>, StateError> {
        let mut result = self.read(true, spans);
        for again in 1..TRIES {
            match &result {
                Err(error) if error.is_passing() => result = self.read(again + 1 < TRIES, spans),
                _ => break,
            }
        }
        let figures = match result {
            Ok(figures) => Arc::new(figures),
            Err(error) => {
                self.gate.forget();
                return Err(self.judge(error));
            }
        };
        self.gate.sampled(&self.layout, &self.snapshot);
        self.failures = 0;
        self.previous = Some(Arc::clone(&figures));
        Ok(figures)
    }

    /// What an error means for the samples to come.
    fn judge(&mut self, error: StateError) -> StateError {
        match self.memory.is_same() {
            Ok(true) => {}
            Ok(false) => return StateError::Replaced(self.memory.pid()),
            Err(gone) => return gone.into(),
        }
        self.failures = self.failures.saturating_add(1);
        // Of others the last good sample is no cause, and its counters bound the next.
        let contradicts_it = matches!(error, StateError::Backwards { .. });
        if self.failures >= MOST_FAILURES && contradicts_it {
            // Rather the last good sample was wrong than all since: a counter falls to
            // what is true.
            self.failures = 0;
            self.previous = None;
        }
        error
    }

    fn read(&mut self, strict: bool, spans: &mut CachedSpans) -> Result<StateFigures, StateError> {
        if let Err(error) = self.snapshot.take(&self.memory, self.threads.places()) {
            // The list of Ms may lead to what is no M any more.
            self.threads.forget();
            return Err(error);
        }
        if !self.confirmed {
            invariants::places(&self.layout, &self.snapshot)?;
            self.confirmed = true;
        }
        let layout = &self.layout;
        let allocation = match &layout.heap_stats {
            Some(heap) => Some(allocation::read(
                &self.memory,
                layout,
                heap,
                &self.snapshot,
                spans,
            )?),
            None => None,
        };
        let threads = self.threads()?;
        let cpu = self.cpu()?;
        let mut figures = StateFigures {
            goroutines: self.goroutines(threads, strict)?,
            scheduler: self.scheduler(threads),
            settings: self.settings(),
            heap: self.heap()?,
            allocation,
            collections: self.collections(),
            stops: self.stops(),
            cpu,
        };
        self.hold(&mut figures)?;
        invariants::values(&figures, self.previous.as_deref())?;
        Ok(figures)
    }

    fn goroutines(&self, threads: OfThreads, strict: bool) -> Result<Goroutines, StateError> {
        let (s, p) = (&self.layout.sched, &self.layout.p);
        let (sched, again) = (self.snapshot.sched(), self.snapshot.sched_again());
        let dead = [s.dead, s.dead_with_stack, s.dead_without_stack];
        let of = |field: Field| (field.signed(sched), field.signed(again));
        let (first, last) = dead
            .into_iter()
            .flatten()
            .map(of)
            .fold((0, 0), |sum, n| (sum.0 + n.0, sum.1 + n.1));
        if strict && first != last {
            // Dead ones moved between the Ps and the scheduler meanwhile. Where
            // they never stand still, this is as near as `gcount` itself gets, which
            // looks at the scheduler before the Ps as well.
            return Err(StateError::Torn("sched.gFree"));
        }
        let p_dead = p.dead.or(p.dead_size);
        let in_processors: i64 = self
            .snapshot
            .processors()
            .map(|bytes| p_dead.map_or(0, |field| field.signed(bytes)))
            .sum();
        let all = self.snapshot.allgs().len as i64;
        let live = all - first - s.system_goroutines.signed(sched) - in_processors;
        if first < 0 || in_processors < 0 || live > all || live < -64 {
            return Err(StateError::implausible("live goroutines", live as u64));
        }
        // Of two moments it may seem less than none.
        let not_dead = (all - first - in_processors).max(0) as u64;
        let queued = |bytes: &[u8]| {
            let len = p.queue_tail.of(bytes).wrapping_sub(p.queue_head.of(bytes)) & 0xffff_ffff;
            // The ring has 256 places; more means head and tail are of two moments.
            (if len > 256 { 0 } else { len }) + u64::from(p.run_next.of(bytes) != 0)
        };
        let extra = threads.extra;
        let created = self.created(extra);
        // Those of C's threads are alive without having been created here.
        let exited = created
            .zip(extra)
            .map(|(created, extra)| created.saturating_add(extra).saturating_sub(not_dead));
        let global = s.run_queue.signed(sched).max(0) as u64;
        let runnable = global + self.snapshot.processors().map(queued).sum::<u64>();
        let states = threads.running.map(|on| GoroutineStates {
            running: on.running,
            not_in_go: on.in_syscall,
            waiting: not_dead.saturating_sub(runnable + on.running + on.in_syscall),
        });
        Ok(Goroutines {
            // As gcount: whoever asks is running.
            live: live.max(1) as u64,
            created,
            exited,
            ids: extra.and_then(|extra| s.goid_generator.of(sched).checked_sub(extra)),
            runnable,
            states,
        })
    }

    fn created(&self, extra: Option<u64>) -> Option<u64> {
        let (s, p) = (&self.layout.sched, &self.layout.p);
        let sched = self.snapshot.sched();
        if let Some(created) = s.goroutines_created {
            let in_processors = self.snapshot.created_by_processors();
            return Some(created.of(sched).wrapping_add(in_processors));
        }
        let unused = |bytes: &[u8]| p.goid_end.of(bytes).saturating_sub(p.goid_next.of(bytes));
        let unused: u64 = self.snapshot.all_processors().map(unused).sum();
        s.goid_generator
            .of(sched)
            .checked_sub(unused)?
            .checked_sub(extra?)
    }

    fn scheduler(&self, of: OfThreads) -> Scheduler {
        let s = &self.layout.sched;
        let sched = self.snapshot.sched();
        let made = s.threads_made.of(sched);
        let threads = made.saturating_sub(s.threads_freed.of(sched));
        Scheduler {
            threads,
            go_threads: of.extra.map(|extra| threads.saturating_sub(extra)),
            processors: self.snapshot.gomaxprocs() as u64,
            idle_processors: s.idle_processors.signed(sched).max(0) as u64,
            latencies: self.histogram(sched, s.latencies, |f| Some(&f.scheduler.latencies)),
            mutex_wait_ns: of.mutex_wait_ns,
        }
    }

    fn histogram(
        &self,
        bytes: &[u8],
        field: Field,
        of: impl Fn(&StateFigures) -> Option<&RuntimeHistogram>,
    ) -> RuntimeHistogram {
        let bytes = bytes.get(field.offset..field.end()).unwrap_or(&[]);
        let before = self.previous.as_deref().and_then(of);
        RuntimeHistogram::read(&self.layout.histogram, bytes, before)
    }

    fn settings(&self) -> RuntimeSettings {
        let c = &self.layout.controller;
        let bytes = self.snapshot.controller();
        RuntimeSettings {
            gogc_percent: u64::try_from(c.percent.signed(bytes)).unwrap_or(u64::MAX),
            memory_limit_bytes: c.memory_limit.map(|limit| limit.of(bytes)),
        }
    }

    fn heap(&self) -> Result<Heap, StateError> {
        let c = &self.layout.controller;
        let bytes = self.snapshot.controller();
        let goal = pacer::next_gc(c, self.layout.rules, bytes);
        Ok(Heap {
            live_bytes: c.heap_live.of(bytes),
            marked_bytes: c.heap_marked.of(bytes),
            next_gc_bytes: goal.ok_or(StateError::Torn("gcController"))?,
        })
    }

    fn collections(&self) -> Collections {
        let m = &self.layout.memstats;
        let bytes = self.snapshot.memstats();
        let cycles = m.cycles.of(bytes);
        let seen = self.previous.as_ref().map_or(0, |f| f.collections.cycles);
        let recent = (seen.max(cycles.saturating_sub(256))..cycles)
            .map(|cycle| 8 * (cycle % 256) as usize)
            .map(|at| Pause {
                duration_ns: word(bytes, m.pauses.offset + at),
                ended_unix_ns: word(bytes, m.pause_ends.offset + at),
            })
            .collect();
        Collections {
            cycles,
            forced: m.forced_cycles.of(bytes),
            pause_total_ns: m.pause_total.of(bytes),
            last_gc_unix_ns: m.last_gc.of(bytes),
            recent,
            pauses: m
                .pause_histogram
                .map(|field| self.histogram(bytes, field, |f| f.collections.pauses.as_ref())),
        }
    }

    fn stops(&self) -> Stops {
        let s = &self.layout.sched;
        let sched = self.snapshot.sched();
        let read = |field: Option<Field>, of: fn(&Stops) -> Option<&RuntimeHistogram>| {
            field.map(|field| self.histogram(sched, field, |f| of(&f.stops)))
        };
        Stops {
            gc_stopping: read(s.stopping_gc, |stops| stops.gc_stopping.as_ref()),
            gc_total: read(s.stopped_gc, |stops| stops.gc_total.as_ref()),
            other_stopping: read(s.stopping_other, |stops| stops.other_stopping.as_ref()),
            other_total: read(s.stopped_other, |stops| stops.other_total.as_ref()),
        }
    }

    /// Counters put together from the Ps: what is on its way from a P to the
    /// counters may be missed for one sample.
    fn hold(&self, now: &mut StateFigures) -> Result<(), StateError> {
        let Some(before) = &self.previous else {
            return Ok(());
        };
        let processors = self.snapshot.gomaxprocs() as u64;
        if let (Some(now), Some(then)) = (&mut now.goroutines.created, before.goroutines.created) {
            invariants::hold("goroutines created", now, then, 64 * processors)?;
        }
        if let (Some(now), Some(then)) = (&mut now.goroutines.exited, before.goroutines.exited) {
            invariants::hold("goroutines exited", now, then, 512 * processors)?;
        }
        if let (Some(now), Some(then)) = (&mut now.allocation, &before.allocation) {
            let (bytes, objects) = (processors << 22, processors << 17);
            invariants::hold(
                "bytes allocated",
                &mut now.total_bytes,
                then.total_bytes,
                bytes,
            )?;
            invariants::hold("mallocs", &mut now.mallocs, then.mallocs, objects)?;
            invariants::hold("frees", &mut now.frees, then.frees, objects)?;
        }
        if let (Some(now), Some(then)) = (
            &mut now.scheduler.mutex_wait_ns,
            before.scheduler.mutex_wait_ns,
        ) {
            invariants::hold("mutex wait", now, then, 1_000_000_000)?;
        }
        Ok(())
    }
}
