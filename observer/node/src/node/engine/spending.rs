//! Keeping to the budget, and under the observer's own ceiling.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use observer_ebpf::{Event, Group, ProcessKey};
use observer_probe::Probes;
use rustix::time::{ClockId, clock_gettime};

use super::Engine;
use crate::node::{
    budget::{Cost, Level, Payer},
    cost,
    observation::EventFigures,
    processes::Tracked,
    targets::Target,
};

impl Engine {
    /// Takes probes on goroutines off files that have a process above the
    /// budget, and sets them again when they have been away for long enough.
    /// `read`: the figures were not read a moment ago.
    pub(super) fn keep_budget(&mut self, read: bool) {
        let Some(probes) = &self.probes else { return };
        let now = Instant::now();
        let mut over = HashMap::<u32, Level>::new();
        let mut note = |target, level: Level| {
            let noted = over.entry(target).or_insert(level);
            *noted = level.min(*noted);
        };
        for tracked in self.processes.iter_mut() {
            let Some(key) = tracked.key else { continue };
            let seen = tracked.observation.figures.events.goroutines;
            let figures = if read { probes.goroutines(key) } else { seen };
            let plan = &tracked.observation.binary.plan;
            let cost = cost::goroutines(plan, self.price, &figures);
            if let Some(found) = self.budget.spent(now, Payer::Process(key), cost) {
                let percent = percent(found.share);
                let file = tracked.observation.process.executable.path.display();
                tracing::warn!(pid = key.tgid, %file, percent, "probes on goroutines cost more than the budget");
                note(tracked.target, found.within);
            }
        }
        for (target, found) in self.budget.ended_over(now) {
            let percent = percent(found.share);
            tracing::warn!(
                target,
                percent,
                "probes on goroutines cost short-lived processes more than the budget"
            );
            note(target, found.within);
        }
        // Other targets on the same file underneath fire for its processes too.
        if !over.is_empty() {
            for (one, other) in probes.aliases() {
                let levels = [one, other].map(|target| over.get(&target).copied());
                if let Some(level) = levels.into_iter().flatten().min() {
                    over.extend([(one, level), (other, level)]);
                }
            }
        }
        for (target, level) in over {
            self.lower(now, target, level);
        }
        for (target, most) in self.budget.due(now) {
            self.raise(now, target, most);
        }
        for target in self.budget.stops_on(now) {
            tracing::info!(target, "probes on collections and stops allowed again");
            self.set_groups(target);
        }
    }

    /// The kernel's side has seen a file's probes on goroutines take so much that
    /// there is no time to find out how much it is: all leave.
    pub(super) fn too_much_at_once(&mut self, event: &Event) {
        let now = Instant::now();
        for target in self.on_one_file(event.target) {
            // The kernel tells until they are gone.
            let Some(entry) = self.targets.get(target) else {
                continue;
            };
            if self.budget.level(target) == Level::None {
                continue;
            }
            let file = entry.path.display();
            let away = self.budget.off_at_once(now, target);
            tracing::warn!(
                pid = event.tgid, %file, for_at_least = ?away,
                "probes on goroutines took too much at once, and leave the file"
            );
            self.set_groups(target);
        }
    }

    /// The same of a file's probes on collections and stops. What the state tells of
    /// them goes on.
    pub(super) fn too_many_stops(&mut self, event: &Event) {
        let now = Instant::now();
        for target in self.on_one_file(event.target) {
            let Some(entry) = self.targets.get(target) else {
                continue;
            };
            if !self.budget.stops_allowed(target) {
                continue;
            }
            let file = entry.path.display();
            let away = self.budget.stops_off(now, target);
            tracing::warn!(
                pid = event.tgid, %file, for_at_least = ?away,
                "probes on collections and stops took too much at once, and leave the file"
            );
            self.set_groups(target);
        }
    }

    /// A target, and those on the same file underneath, which fire for its processes.
    fn on_one_file(&self, target: u32) -> HashSet<u32> {
        let aliases = self.probes.as_ref().map(Probes::aliases);
        let mut targets = HashSet::from([target]);
        for (one, other) in aliases.unwrap_or_default() {
            if one == target || other == target {
                targets.extend([one, other]);
            }
        }
        targets
    }

    /// A file may carry no more than that for a while.
    pub(super) fn lower(&mut self, now: Instant, target: u32, level: Level) {
        let has_batch = |target: &Target| target.has(Group::Batch);
        let level = if self.targets.get(target).is_some_and(has_batch) {
            level
        } else {
            Level::None
        };
        if level < self.budget.level(target) {
            let away = self.budget.off(now, target, level);
            tracing::warn!(target, ?level, for_at_least = ?away, "probes on goroutines taken off a file");
            self.set_groups(target);
        }
    }

    /// A file may carry again what the budget allows, and no more than that.
    fn raise(&mut self, now: Instant, target: u32, most: Level) {
        let Some(entry) = self.targets.get(target) else {
            return;
        };
        // Without probes only the state tells how fast goroutines are created;
        // where there is none, it must be tried.
        let rate = self
            .processes
            .iter_mut()
            .filter(|tracked| tracked.target == target)
            .filter_map(|tracked| tracked.created_per_second)
            .reduce(f64::max);
        let Cost { exact_ns, batch_ns } = cost::of_one(&entry.binary.plan, self.price);
        let tried = most == Level::Exact || rate.is_some();
        let level = if most == Level::Exact && self.budget.allows(rate, exact_ns + batch_ns) {
            Level::Exact
        } else if tried && entry.has(Group::Batch) && self.budget.allows(rate, batch_ns) {
            Level::Batch
        } else {
            Level::None
        };
        if level > self.budget.level(target) {
            tracing::info!(target, ?level, "probes on goroutines allowed again");
            self.budget.on(now, target, level);
            self.set_groups(target);
        }
    }

    /// A process has ended: what it spent lately is its file's, and one that
    /// was never sampled shows that its file needs every probe.
    pub(super) fn settle(&mut self, tracked: &Tracked, events: &EventFigures) {
        let now = Instant::now();
        let observation = &tracked.observation;
        let plan = &observation.binary.plan;
        if let Some(key) = tracked.key {
            let cost = cost::goroutines(plan, self.price, &events.goroutines);
            self.budget.ended(now, key, tracked.target, cost);
        }
        // Where nothing was hit, it is a child that has executed nothing.
        let ran = events.goroutines.hits() > 0 && observation.binary.state.globals.is_some();
        if ran && observation.figures.state.is_none() {
            if let Some(target) = self.targets.get_mut(tracked.target) {
                target.need.missed(now);
            }
            self.set_groups(tracked.target);
        }
    }

    /// Forgets accounts of what is no more.
    pub(super) fn close_accounts(&mut self) {
        let known: HashSet<ProcessKey> = self.processes.keys().collect();
        self.budget.keep(|key| known.contains(key));
        let targets = &self.targets;
        self.budget.forget(|target| targets.get(target).is_some());
    }

    /// Looks less often where looking takes too much of this machine.
    pub(super) fn keep_ceiling(&mut self) {
        let clock = clock_gettime(ClockId::ProcessCPUTime);
        let cpu = Duration::new(clock.tv_sec as u64, clock.tv_nsec as u32);
        if let Some(share) = self.ceiling.used(Instant::now(), cpu, self.inspector.cpu()) {
            let percent = percent(share);
            let interval = self.ceiling.interval();
            tracing::warn!(
                percent,
                ?interval,
                "the observer's own CPU time: interval changed"
            );
        }
    }
}

/// Two digits behind the point.
fn percent(share: f64) -> f64 {
    (share * 1e4).round() / 1e2
}
