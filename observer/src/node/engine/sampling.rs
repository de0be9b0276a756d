//! What happens at each interval: every process's counters and state are read.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use super::{Engine, intake::Ended};
use crate::{
    node::{
        coverage::{Standing, coverage},
        creators::Creators,
        observation::{EventFigures, Figures, Observation, Snapshot, StateSample},
        planes::{self, Counted},
        processes::Tracked,
        targets::Targets,
        watch::Sampled,
    },
    probe::Probes,
    runtime::StateFigures,
};

impl Engine {
    /// Reads every figure and publishes what is known.
    pub(super) fn sample(&mut self) {
        let probes = self.probes.as_ref();
        let mut replaced = Vec::new();
        for tracked in self.processes.iter_mut() {
            // Where nothing ran, no probe was hit either.
            if tracked.watch.stands_still() {
                self.state_samples += 1;
                tracked.sampled = Some(Instant::now());
                tracked.created_per_second = Some(0.0);
                tracked.counted = tracked.observation.probes.exact;
                continue;
            }
            let pid = tracked.observation.process.pid;
            // Where there is nothing to compare, or both say the same, once is enough.
            let learning = tracked.observation.probes.batch && !tracked.ids.known();
            let before = (tracked.apart || learning)
                .then(|| read(probes, tracked))
                .flatten();
            let sampled = tracked.watch.sample(pid, &tracked.observation.binary);
            self.state_samples += u64::from(!matches!(sampled, Sampled::Nothing));
            self.state_dropped += u64::from(matches!(sampled, Sampled::Dropped));
            if matches!(sampled, Sampled::Replaced) && probes.is_none() {
                // Nobody else tells of an exec.
                replaced.push(pid);
            }
            update(tracked, probes, &self.targets, before.as_ref(), sampled);
        }
        for pid in replaced {
            self.end(pid, Ended::ByExec);
            self.look(pid, None);
        }
        self.keep_budget(false);
        self.keep_groups();
        self.let_go();
        let mut processes = self.processes.shown();
        self.left_alone.join(&mut processes);
        let snapshot = Snapshot {
            at: SystemTime::now(),
            processes,
            past: self.processes.past(),
            health: self.health(),
            creators: self
                .creators
                .as_ref()
                .map(Creators::latest)
                .unwrap_or_default(),
            cluster: None,
        };
        self.sender.send_replace(Some(Arc::new(snapshot)));
    }
}

fn read(probes: Option<&Probes>, tracked: &Tracked) -> Option<Counted> {
    let known = tracked.observation.figures.events.gc.as_ref();
    Some(probes?.read(tracked.key?, known))
}

/// Takes a sample to count from; whether there is one.
pub(super) fn begin(tracked: &mut Tracked, probes: Option<&Probes>, targets: &Targets) -> bool {
    let pid = tracked.observation.process.pid;
    let before = read(probes, tracked);
    let sampled = tracked.watch.sample(pid, &tracked.observation.binary);
    let stood =
        before.as_ref().map(|before| before.0) == read(probes, tracked).map(|after| after.0);
    let begun = stood && matches!(sampled, Sampled::Read(_));
    if begun {
        update(tracked, probes, targets, before.as_ref(), sampled);
    }
    begun
}

/// Puts what was read into the process's observation.
fn update(
    tracked: &mut Tracked,
    probes: Option<&Probes>,
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
    let figures = &tracked.observation.figures;
    let counted = after.as_ref().is_some_and(|after| {
        let events = &figures.events;
        after.0 != events.goroutines
            || after.1.as_ref().map(|gc| gc.hits) != events.gc.as_ref().map(|gc| gc.hits)
    });
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
        tracked.counted = tracked.observation.probes.exact;
    }
    let covered = tracked.watch.has_changed();
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
        differences = planes::compare(events, &before, state, after);
        tracked.apart = planes::compare(events, after, state, after).any();
    }
    if let (true, Some(state), Some(after)) = (tracked.observation.probes.batch, &state, &after) {
        // What the last sample saw will do for the lower bound.
        let before = before.map_or(&figures.events.goroutines, |before| &before.0);
        differences.ids = tracked.ids.compare(before, state, &after.0);
    }
    let events = match after {
        Some((goroutines, gc)) => EventFigures {
            goroutines,
            gc,
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
            let standing = Standing {
                registered: tracked.key.is_some() || probes.is_none(),
                from_start: events.from_start,
            };
            coverage(&target.binary, &target.attachment, standing, &tracked.watch)
        }
        _ => tracked.observation.coverage.clone(),
    };
    let known = &tracked.observation;
    tracked.observation = Arc::new(Observation {
        process: Arc::clone(&known.process),
        binary: Arc::clone(&known.binary),
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
