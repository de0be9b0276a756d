//! What happens at each interval: every process's counters and state are read.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use observer_ebpf::ProbeGroup;
use observer_go::{
    discover,
    runtime::{HeldUp, StateFigures, cpus, is_stuck},
};
use observer_probe::Spans;

use super::{lives::Ended, schedule::Round, state::Engine};
use crate::node::{
    coverage::{ProcessStatus, coverage},
    creators::CreatorWalker,
    cross_check::{self, Counted},
    kernel::KernelSide,
    observation::{Differences, EventFigures, Figures, Observation, StateSample},
    plausibility::FigureVerdicts,
    processes::Tracked,
    read_watchdog::Reading,
    snapshot::Snapshot,
    state_sampler::{Looked, Sampled},
    targets::Targets,
};

impl Engine {
    /// Reads every figure and publishes what is known. Where a process held the round
    /// up, and another thread goes on with it, that begins here with those left.
    pub(super) fn sample(mut self: Box<Self>) -> Option<Box<Self>> {
        self.take_back();
        if self.round.is_none() {
            self.round = Some(Round {
                left: self.processes.pids(),
                replaced: Vec::new(),
            });
        }
        self.watchdog.busy(true);
        while let Some(pid) = self.round.as_mut().and_then(|round| round.left.pop()) {
            self = self.sample_one(pid)?;
        }
        self.watchdog.busy(false);
        for pid in self
            .round
            .take()
            .map(|round| round.replaced)
            .into_iter()
            .flatten()
        {
            self.end(pid, Ended::ByExec);
            self.look(pid, None);
        }
        self.publish();
        Some(self)
    }

    fn sample_one(mut self: Box<Self>, pid: u32) -> Option<Box<Self>> {
        let Some(tracked) = self.processes.get(pid) else {
            return Some(self);
        };
        // Where there is nothing to compare, or both say the same, once is enough.
        let learning = tracked.observation.probes.has(ProbeGroup::BATCH) && !tracked.ids.known();
        let before = (tracked.apart || learning)
            .then(|| read(self.probes.as_deref(), tracked))
            .flatten();
        let looked;
        (self, looked) = self.look_into(pid)?;
        let Some(tracked) = self.processes.get_mut(pid) else {
            return Some(self);
        };
        let sampled = match looked {
            // Where nothing ran, no probe was hit either.
            Looked::StandsStill => {
                self.state_samples += 1;
                tracked.sampled = Some(Instant::now());
                tracked.created_per_second = Some(0.0);
                tracked.counted = tracked.observation.probes.has(ProbeGroup::EXACT);
                let verdicts = at_rest(tracked, before.as_ref());
                if !tracked.sampler.stood_still(verdicts) {
                    return Some(self);
                }
                Sampled::Nothing
            }
            Looked::Sampled(sampled) => sampled,
        };
        self.state_samples += u64::from(!matches!(sampled, Sampled::Nothing));
        self.state_dropped += u64::from(matches!(sampled, Sampled::Dropped));
        let probes = self.probes.as_deref();
        if matches!(sampled, Sampled::Replaced) && probes.is_none() {
            self.round.get_or_insert_default().replaced.push(pid);
        }
        update(tracked, probes, &self.targets, before.as_ref(), sampled);
        Some(self)
    }

    /// Looks at what a process's memory holds, the engine laid down meanwhile.
    pub(super) fn look_into(mut self: Box<Self>, pid: u32) -> Option<(Box<Self>, Looked)> {
        let nothing = Looked::Sampled(Sampled::Nothing);
        let Some(tracked) = self.processes.get(pid) else {
            return Some((self, nothing));
        };
        let binary = Arc::clone(&tracked.observation.binary);
        if !tracked.sampler.is_due(&binary) {
            return Some((self, nothing));
        }
        let refused = self.refused(pid);
        let Some(tracked) = self.processes.get_mut(pid) else {
            return Some((self, nothing));
        };
        if let Some(why) = refused {
            tracked.sampler.leave_out(why);
            return Some((self, nothing));
        }
        let stand_in = tracked.sampler.stand_in();
        let mut sampler = std::mem::replace(&mut tracked.sampler, stand_in);
        let (watchdog, system) = (Arc::clone(&self.watchdog), Arc::clone(&self.system));
        let (mut this, (sampler, looked)) = watchdog.read(self, pid, move || {
            let looked = sampler.look(&*system, pid, &binary);
            (sampler, looked)
        })?;
        if let Some(tracked) = this.processes.get_mut(pid) {
            tracked.sampler = sampler;
        }
        Some((this, looked))
    }

    /// Why a process is not read now.
    fn refused(&self, pid: u32) -> Option<HeldUp> {
        if is_stuck(pid) {
            return Some(HeldUp::By(pid));
        }
        if (self.blocked).refuses(&*self.system, pid, self.pod_uid(pid)) {
            return Some(HeldUp::ByMany);
        }
        // Whoever held up this read would hold up the engine.
        (!self.watchdog.is_watched()).then_some(HeldUp::NoThread)
    }

    fn pod_uid(&self, pid: u32) -> Option<&str> {
        let process = &self.processes.get(pid)?.observation.process;
        process.pod_uid.as_deref()
    }

    /// A process held up the thread that read its memory.
    pub(super) fn give_up(&mut self, reading: Reading) {
        let Reading { number, pid, .. } = reading;
        let pod_uid = self.pod_uid(pid).map(str::to_owned);
        (self.blocked).add(&*self.system, number, pid, pod_uid.as_deref());
        let Some(tracked) = self.processes.get_mut(pid) else {
            return;
        };
        let file = tracked.observation.process.executable.path.display();
        tracing::warn!(pid, %file, "a read of this process's memory does not come back; its state is left out");
        tracked.sampler.give_up(number, pid);
        let probes = self.probes.as_deref();
        update(tracked, probes, &self.targets, None, Sampled::Nothing);
    }

    /// Some reads have come back that were given up.
    fn take_back(&mut self) {
        for reading in self.watchdog.returned() {
            self.blocked.came_back(reading.number);
            if let Some(tracked) = self.processes.get_mut(reading.pid)
                && tracked.sampler.came_back(reading.number)
            {
                tracing::info!(
                    pid = reading.pid,
                    "the read of its memory came back; it is tried again after a while"
                );
            }
        }
    }

    /// Leaves out the figures of who was not read for long: all that is published is
    /// published as of now.
    fn withhold_old(&mut self) {
        let interval = self.ceiling.interval();
        for tracked in self.processes.iter_mut() {
            let age = tracked.sampled.map(|sampled| sampled.elapsed());
            if age.is_some_and(|age| tracked.sampler.grows_old(age, interval)) {
                let probes = self.probes.as_deref();
                update(tracked, probes, &self.targets, None, Sampled::Nothing);
            }
        }
    }

    fn publish(&mut self) {
        self.withhold_old();
        self.keep_budget(false);
        self.keep_groups();
        self.let_go();
        let mut processes = self.processes.shown(Instant::now());
        self.left_alone.join(&mut processes);
        self.hosts.join(&mut processes);
        let snapshot = Snapshot {
            at: SystemTime::now(),
            processes,
            past: self.processes.past(),
            health: self.health(),
            creators: self
                .creators
                .as_ref()
                .map(CreatorWalker::latest)
                .unwrap_or_default(),
            cluster: None,
        };
        self.sender.send_replace(Some(Arc::new(snapshot)));
    }
}

fn read(probes: Option<&dyn KernelSide>, tracked: &Tracked) -> Option<Counted> {
    let known = tracked.observation.figures.events.gc.as_ref();
    Some(probes?.read(tracked.key?, known))
}

/// What spans have counted, where that has changed.
fn spans(probes: Option<&dyn KernelSide>, tracked: &Tracked) -> Option<Arc<Spans>> {
    let spans = probes.filter(|it| it.has_spans())?.spans(tracked.key?);
    let known = &tracked.observation.figures.events.spans;
    (spans != **known).then(|| Arc::new(spans))
}

impl Engine {
    /// Takes a sample to count from; whether there is one.
    pub(super) fn begin(mut self: Box<Self>, pid: u32) -> Option<(Box<Self>, bool)> {
        let counted = |engine: &Self| {
            let tracked = engine.processes.get(pid)?;
            read(engine.probes.as_deref(), tracked)
        };
        let before = counted(&self);
        let looked;
        (self, looked) = self.look_into(pid)?;
        let after = counted(&self);
        let stood = before.as_ref().map(|before| before.0) == after.map(|after| after.0);
        let tracked = self.processes.get_mut(pid);
        let (Looked::Sampled(sampled @ Sampled::Read(_)), Some(tracked)) = (looked, tracked) else {
            return Some((self, false));
        };
        if !stood {
            tracked.sampler.set_aside();
            return Some((self, false));
        }
        let probes = self.probes.as_deref();
        update(tracked, probes, &self.targets, before.as_ref(), sampled);
        // What was counted when the sample was taken, and not since.
        if let Some((goroutines, _)) = before {
            tracked.at_sample.0 = goroutines;
        }
        Some((self, true))
    }
}

/// What the last sample says of a process in which nothing has run since, held against
/// what probes have counted by now. That is read where the two were apart at the sample;
/// where they were not, no probe has been hit since.
fn at_rest(tracked: &Tracked, counted: Option<&Counted>) -> FigureVerdicts {
    let figures = &tracked.observation.figures;
    let Some(sample) = &figures.state else {
        return FigureVerdicts::default();
    };
    let (mut differences, mut whole) = (Differences::default(), true);
    if let (Some(counted), true) = (counted, tracked.apart) {
        differences = cross_check::compare(&figures.events, counted, &sample.figures, counted);
        differences.ids = ids_apart(tracked, &sample.figures, counted);
        whole = cross_check::measured_all(counted);
    }
    FigureVerdicts::at_rest(&differences, &sample.figures, whole, cpus())
}

/// How far goroutine ids are from what probes have counted, where that is known.
fn ids_apart(tracked: &Tracked, state: &StateFigures, counted: &Counted) -> Option<i64> {
    if !tracked.observation.probes.has(ProbeGroup::BATCH) || !tracked.ids.known() {
        return None;
    }
    // Nothing is learned from it.
    let mut ids = tracked.ids;
    ids.compare(&counted.0, state, &counted.0)
}

/// Puts what was read into the process's observation.
fn update(
    tracked: &mut Tracked,
    probes: Option<&dyn KernelSide>,
    targets: &Targets,
    before: Option<&Counted>,
    sampled: Sampled,
) {
    let (state, replaced) = match sampled {
        Sampled::Read(state) => (Some(state), false),
        Sampled::Nothing | Sampled::Dropped => (None, false),
        Sampled::Replaced => (None, true),
    };
    // Behind the state, so that what is counted from here on is not in it.
    let after = read(probes, tracked).or_else(|| before.cloned());
    let spans = spans(probes, tracked);
    let figures = &tracked.observation.figures;
    let counted = after.as_ref().is_some_and(|after| {
        let events = &figures.events;
        after.0 != events.goroutines
            || after.1.as_ref().map(|gc| gc.hits) != events.gc.as_ref().map(|gc| gc.hits)
    }) || spans.is_some();
    let moved = state.as_ref().is_some_and(|now| {
        figures
            .state
            .as_ref()
            .is_none_or(|sample| sample.figures != *now)
    });
    if let Some(now) = &state {
        // By a clock that nobody sets.
        let since = tracked.sampled.replace(Instant::now());
        tracked.created_per_second = created_per_second(figures.state.as_deref().zip(since), now);
        tracked.counted = tracked.observation.probes.has(ProbeGroup::EXACT);
        tracked.at_sample = after.clone().unwrap_or_default();
    }
    let covered = tracked.sampler.has_changed();
    // An idle process keeps its observation: nothing to copy.
    if !counted && !moved && !covered && !replaced {
        return;
    }
    let mut differences = figures.differences;
    if let (Some(state), Some(after)) = (&state, &after) {
        let events = &figures.events;
        // What the last sample saw will do for the lower bound, once.
        let last = || (events.goroutines, events.gc.clone());
        let before = before.cloned().unwrap_or_else(last);
        differences = cross_check::compare(events, &before, state, after);
        tracked.apart = cross_check::compare(events, after, state, after).any();
    }
    if let (true, Some(state), Some(after)) = (
        tracked.observation.probes.has(ProbeGroup::BATCH),
        &state,
        &after,
    ) {
        // What the last sample saw will do for the lower bound.
        let before = before.map_or(&figures.events.goroutines, |before| &before.0);
        differences.ids = tracked.ids.compare(before, state, &after.0);
        tracked.apart |= ids_apart(tracked, state, after).is_some_and(|apart| apart != 0);
    }
    if let (Some(state), true) = (&state, counted || moved) {
        let age = discover::age(tracked.observation.process.start_ticks);
        let verdicts = FigureVerdicts::busy(&differences, state, age, cpus());
        tracked.sampler.compared(verdicts);
    }
    let covered = covered || tracked.sampler.has_changed();
    let events = match after {
        Some((goroutines, gc)) => EventFigures {
            goroutines,
            gc,
            spans: spans.unwrap_or_else(|| Arc::clone(&figures.events.spans)),
            ..figures.events
        },
        None => figures.events.clone(),
    };
    let state = match state {
        Some(state) if moved => Some(Arc::new(StateSample {
            at: SystemTime::now(),
            figures: state,
        })),
        _ => figures.state.clone().filter(|_| !replaced),
    };
    let coverage = match targets.get(tracked.target) {
        Some(target) if covered => {
            let standing = ProcessStatus::new(tracked.key, probes, tracked.sight);
            coverage(
                &target.binary,
                &target.attachment,
                standing,
                &tracked.sampler,
            )
        }
        _ => tracked.observation.coverage.clone(),
    };
    let known = &tracked.observation;
    tracked.observation = Arc::new(Observation {
        process: Arc::clone(&known.process),
        binary: Arc::clone(&known.binary),
        library: known.library.clone(),
        coverage,
        figures: Figures {
            events,
            state,
            differences,
        },
        probes: known.probes,
        ended: known.ended,
        brief: known.brief,
    });
}

/// How fast goroutines were created since the sample before, taken then.
fn created_per_second(before: Option<(&StateSample, Instant)>, now: &StateFigures) -> Option<f64> {
    let (before, at) = before?;
    let created = now
        .goroutines
        .created?
        .checked_sub(before.figures.goroutines.created?)?;
    let elapsed = at.elapsed().as_secs_f64();
    (elapsed > 0.0).then(|| created as f64 / elapsed)
}

#[cfg(test)]
mod tests;
