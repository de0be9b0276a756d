//! Which groups of probes stand on which file.

use std::{collections::HashMap, time::Instant};

use observer_ebpf::ProbeGroup;
use observer_go::discover::{Process, Traced};

use super::{newcomers::is_new, state::Engine};
use crate::node::{
    budget::{Level, Load},
    coverage::{ProcessStatus, Sight, coverage},
    cross_check::Ids,
    observation::Observation,
    processes::Tracked,
    settings::GoroutineProbes,
};

/// What is known of a file's processes.
#[derive(Clone, Copy)]
struct Processes {
    /// The state of all.
    all_known: bool,
    /// One has been there for a while and is not known.
    one_unknown: bool,
}

impl Engine {
    /// Lets probes on every goroutine leave where the state tells as much, and
    /// brings them back where it does not.
    pub(super) fn keep_groups(&mut self) {
        if self.goroutine_probes == GoroutineProbes::Always {
            return;
        }
        let Some(probes) = &self.probes else { return };
        let now = Instant::now();
        let mut files = HashMap::<u32, Processes>::new();
        for tracked in self.processes.iter_mut() {
            let known = tracked.sampler.is_known();
            let file = files.entry(tracked.target).or_insert(Processes {
                all_known: true,
                one_unknown: false,
            });
            file.all_known &= known;
            file.one_unknown |= !known && tracked.sampler.is_old();
        }
        // Targets on one file underneath fire for each other's processes.
        for (one, other) in probes.aliases() {
            let pair = [one, other].map(|target| files.get(&target).copied());
            let both = pair.into_iter().flatten().reduce(|a, b| Processes {
                all_known: a.all_known && b.all_known,
                one_unknown: a.one_unknown || b.one_unknown,
            });
            if let Some(both) = both {
                files.extend([(one, both), (other, both)]);
            }
        }
        let mut changed = Vec::new();
        for (number, target) in self.targets.iter_mut() {
            let was = target.need.is_exact();
            match files.get(&number) {
                _ if !target.has(ProbeGroup::BATCH) && !self.cautious => {}
                Some(processes) if processes.all_known => target.need.known(now),
                Some(processes) if !processes.one_unknown => {}
                None if self.cautious => {}
                // Nothing runs it: what runs it next is to be seen whole.
                Some(_) | None => target.need.unknown(now, self.clocks.stay),
            }
            if target.need.is_exact() != was {
                changed.push(number);
            }
        }
        for target in changed {
            self.set_groups(target);
        }
    }

    /// Sets and takes away what the need and the budget say.
    pub(super) fn set_groups(&mut self, target: u32) {
        let Some(entry) = self.targets.get(target) else {
            return;
        };
        let load = |group: ProbeGroup| Load {
            file: target,
            family: group.family(),
        };
        let wanted = |group: ProbeGroup| {
            let is_needed = group != ProbeGroup::EXACT || entry.need.is_exact();
            is_needed && entry.has(group) && self.budget.level(load(group)).allows(group)
        };
        let due = |group: ProbeGroup| {
            let on = wanted(group);
            (on != entry.carries(group)).then_some((group, on))
        };
        // The dearest first.
        let due: Vec<_> = ProbeGroup::all().rev().filter_map(due).collect();
        let mut changed = Vec::new();
        for (group, on) in due {
            if !on && self.is_traced(target) {
                continue;
            }
            let Some(probes) = &mut self.probes else {
                return;
            };
            match probes.set_group(target, group, on) {
                Ok(since) => {
                    tracing::debug!(target, group = group.name(), on, "probes changed");
                    self.targets.stands(target, group, since);
                    changed.push(group);
                }
                Err(error) => {
                    let now = Instant::now();
                    let level = Level::without(group);
                    let away = self.budget.off(now, load(group), level);
                    let group = group.name();
                    tracing::warn!(%error, group, again_after = ?away, "probes stay as they are");
                }
            }
        }
        if !changed.is_empty() {
            self.cover(target, changed.contains(&ProbeGroup::RARE));
        }
    }

    /// Whether a debugger is on one of a target's processes, so that no probe may
    /// leave them. What is to leave does so some time after.
    pub(super) fn is_traced(&mut self, target: u32) -> bool {
        let Some(entry) = self.targets.get(target) else {
            self.held.remove(&target);
            return false;
        };
        match entry.traced(&*self.system) {
            Ok(Some(Traced { pid, tracer })) => {
                if self.held.insert(target) {
                    tracing::info!(
                        target,
                        pid,
                        tracer,
                        "probes stay as long as a debugger is on this process"
                    );
                }
                true
            }
            Ok(None) => {
                self.held.remove(&target);
                false
            }
            // Not known is not safe.
            Err(error) => {
                if self.held.insert(target) {
                    tracing::warn!(target, %error, "probes stay until debuggers can be looked for");
                }
                true
            }
        }
    }

    /// Does what had to wait for a debugger.
    pub(super) fn let_go(&mut self) {
        for target in Vec::from_iter(self.held.iter().copied()) {
            if !self.is_traced(target) {
                self.set_groups(target);
            }
        }
    }

    /// Tells a target's processes what stands and what is covered now. Whoever
    /// lived while goroutines, or stops, were not counted is no longer known from the
    /// start.
    pub(super) fn cover(&mut self, target: u32, stops_changed: bool) {
        self.cover_those(target, stops_changed, |_| true);
    }

    /// The same, of some of them.
    pub(super) fn cover_those(
        &mut self,
        target: u32,
        stops_changed: bool,
        concerns: impl Fn(&Process) -> bool,
    ) {
        let Some(entry) = self.targets.get(target) else {
            return;
        };
        let groups = entry.groups();
        let its = |it: &&mut Tracked| it.target == target && concerns(&it.observation.process);
        for tracked in self.processes.iter_mut().filter(its) {
            let was = tracked.observation.probes;
            let mut observation = Observation::clone(&tracked.observation);
            let figures = &mut observation.figures;
            let has_changed = |group| groups.has(group) != was.has(group);
            if has_changed(ProbeGroup::EXACT) {
                figures.events.from_start = false;
                figures.differences.created = None;
                tracked.counted = false;
                tracked.sight = Sight::Partial;
            }
            if stops_changed {
                figures.events.collections_from_start = false;
                figures.differences.cycles = None;
                figures.differences.pause_total_ns = None;
            }
            if has_changed(ProbeGroup::BATCH) {
                figures.differences.ids = None;
                tracked.ids = Ids::default();
            }
            let standing = ProcessStatus::new(tracked.key, self.probes.as_deref(), tracked.sight);
            observation.probes = groups;
            observation.coverage =
                coverage(&entry.binary, &entry.attachment, standing, &tracked.sampler);
            tracked.observation = std::sync::Arc::new(observation);
            if has_changed(ProbeGroup::EXACT) && is_new(tracked) {
                let pid = tracked.observation.process.pid;
                self.newcomers.add(pid, Instant::now());
            }
        }
    }
}
