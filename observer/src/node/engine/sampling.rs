//! What happens at each interval: every process's counters and state are read.

use std::{sync::Arc, time::SystemTime};

use super::{Engine, intake::Ended};
use crate::{
    node::{
        coverage::{Standing, coverage},
        creators::Creators,
        observation::{EventFigures, Observation, Snapshot, StateSample},
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
                tracked.created_per_second = Some(0.0);
                continue;
            }
            let pid = tracked.observation.process.pid;
            let before = read(probes, tracked);
            let sampled = tracked.watch.sample(pid, &tracked.observation.binary);
            self.state_samples += u64::from(!matches!(sampled, Sampled::Nothing));
            self.state_dropped += u64::from(matches!(sampled, Sampled::Dropped));
            if matches!(sampled, Sampled::Replaced) && probes.is_none() {
                // Nobody else tells of an exec.
                replaced.push(pid);
            }
            update(tracked, probes, &self.targets, before, sampled);
        }
        for pid in replaced {
            self.end(pid, Ended::ByExec);
            self.look(pid, None);
        }
        self.keep_budget(false);
        let snapshot = Snapshot {
            at: SystemTime::now(),
            processes: self.processes.shown(),
            health: self.health(),
            creators: self
                .creators
                .as_ref()
                .map(Creators::latest)
                .unwrap_or_default(),
        };
        self.sender.send_replace(Some(Arc::new(snapshot)));
    }
}

fn read(probes: Option<&Probes>, tracked: &Tracked) -> Option<Counted> {
    Some(probes?.read(tracked.key?))
}

/// Puts what was read into the process's observation.
fn update(
    tracked: &mut Tracked,
    probes: Option<&Probes>,
    targets: &Targets,
    before: Option<Counted>,
    sampled: Sampled,
) {
    let figures = &tracked.observation.figures;
    let events = &figures.events;
    let counted = before.as_ref().is_some_and(|(goroutines, gc)| {
        *goroutines != events.goroutines
            || gc.as_ref().map(|gc| gc.hits) != events.gc.as_ref().map(|gc| gc.hits)
    });
    let (state, replaced) = match sampled {
        Sampled::Read(state) => (Some(state), false),
        Sampled::Nothing | Sampled::Dropped => (None, false),
        Sampled::Replaced => (None, true),
    };
    if let Some(now) = &state {
        tracked.created_per_second = created_per_second(figures.state.as_deref(), now);
    }
    let figures = &tracked.observation.figures;
    let moved = state.as_ref().is_some_and(|now| {
        figures
            .state
            .as_ref()
            .is_none_or(|sample| sample.figures != **now)
    });
    let covered = tracked.watch.has_changed();
    // An idle process keeps its observation: nothing to copy.
    if !counted && !moved && !covered && !replaced {
        return;
    }
    let mut observation = Observation::clone(&tracked.observation);
    let figures = &mut observation.figures;
    if let Some(before) = before {
        // Behind the state, so that what is counted from here on is not in it.
        let after = read(probes, tracked).unwrap_or_else(|| before.clone());
        if let (Some(state), true) = (&state, figures.events.from_start) {
            figures.differences = planes::compare(&before, state, &after);
        }
        figures.events = EventFigures {
            from_start: figures.events.from_start,
            goroutines: after.0,
            gc: after.1,
        };
    }
    if replaced {
        figures.state = None;
    }
    if let (Some(state), true) = (state, moved) {
        figures.state = Some(Arc::new(StateSample {
            at: SystemTime::now(),
            figures: *state,
        }));
    }
    if let (Some(target), true) = (targets.get(tracked.target), covered) {
        let standing = Standing {
            registered: tracked.key.is_some() || probes.is_none(),
            from_start: figures.events.from_start,
        };
        observation.coverage =
            coverage(&target.binary, &target.attachment, standing, &tracked.watch);
    }
    tracked.observation = Arc::new(observation);
}

/// How fast goroutines were created between two samples.
fn created_per_second(before: Option<&StateSample>, now: &StateFigures) -> Option<f64> {
    let before = before?;
    let created = now
        .goroutines
        .created?
        .checked_sub(before.figures.goroutines.created?)?;
    let elapsed = before.at.elapsed().ok()?.as_secs_f64();
    (elapsed > 0.0).then(|| created as f64 / elapsed)
}
