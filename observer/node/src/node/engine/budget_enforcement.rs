//! Keeping to the budget, and under the observer's own ceiling.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use observer_ebpf::{
    Event, EventKind, ProbeGroup, ProcessKey,
    family::{CostControl, Family, Selection},
};
use rustix::time::{ClockId, clock_gettime};

use super::state::Engine;
use crate::node::{
    budget::{Level, Load, Payer},
    cost,
    kernel::KernelSide,
    observation::EventFigures,
    processes::Tracked,
    target::Target,
};

impl Engine {
    /// Takes probes off files that have a process above the budget, and sets them again
    /// when they have been away for long enough. `read`: the figures were not read a
    /// moment ago.
    pub(super) fn keep_budget(&mut self, read: bool) {
        let Some(probes) = &self.probes else { return };
        let now = Instant::now();
        let mut over = HashMap::<Load, Level>::new();
        let mut note = |load, level: Level| {
            let noted = over.entry(load).or_insert(level);
            *noted = level.min(*noted);
        };
        for tracked in self.processes.iter_mut() {
            let Some(key) = tracked.key else { continue };
            let mut events = tracked.observation.figures.events.clone();
            if read {
                events.goroutines = probes.goroutines(key);
                if probes.has_spans() {
                    events.spans = Arc::new(probes.spans(key));
                }
            }
            let plan = &tracked.observation.binary.plan;
            for (number, family) in measured(self.selection) {
                let cost = cost::of_family(plan, self.price, &events, number);
                let payer = Payer::Process(key);
                if let Some(found) = self.budget.spent(now, payer, number, cost) {
                    let percent = percent(found.share);
                    let file = tracked.observation.process.executable.path.display();
                    let what = family.name;
                    tracing::warn!(pid = key.tgid, %file, percent, "probes on {what} cost more than the budget");
                    let load = Load {
                        file: tracked.target,
                        family: number,
                    };
                    note(load, found.within);
                }
            }
        }
        for (load, found) in self.budget.ended_over(now) {
            let percent = percent(found.share);
            tracing::warn!(
                target = load.file,
                percent,
                "probes on {} cost short-lived processes more than the budget",
                name(load)
            );
            note(load, found.within);
        }
        // Other targets on the same file underneath fire for its processes too.
        if !over.is_empty() {
            for (one, other) in probes.aliases() {
                for (family, _) in measured(self.selection) {
                    let both = [one, other].map(|file| Load { file, family });
                    let levels = both.map(|load| over.get(&load).copied());
                    if let Some(level) = levels.into_iter().flatten().min() {
                        over.extend(both.map(|load| (load, level)));
                    }
                }
            }
        }
        for (load, level) in over {
            self.lower(now, load, level);
        }
        for (load, most) in self.budget.due(now) {
            self.raise(now, load, most);
        }
    }

    /// The kernel's side has seen a file's probes of some families take so much that
    /// there is no time to find out how much it is: all of them leave. What the state
    /// tells of the same goes on.
    pub(super) fn too_much_at_once(&mut self, event: &Event, kind: EventKind) {
        let now = Instant::now();
        let families: Vec<_> = charged(self.selection, kind).collect();
        for target in self.on_one_file(event.target) {
            // The kernel tells until they are gone.
            let Some(entry) = self.targets.get(target) else {
                continue;
            };
            let mut has_changed = false;
            for (family, what) in &families {
                let load = Load {
                    file: target,
                    family: *family,
                };
                if self.budget.level(load) == Level::NONE {
                    continue;
                }
                let file = entry.path.display();
                let away = self.budget.off_at_once(now, load);
                tracing::warn!(
                    pid = event.tgid, %file, for_at_least = ?away,
                    "probes on {what} took too much at once, and leave the file"
                );
                has_changed = true;
            }
            if has_changed {
                self.set_groups(target);
            }
        }
    }

    /// A target, and those on the same file underneath, which fire for its processes.
    fn on_one_file(&self, target: u32) -> HashSet<u32> {
        let aliases = self.probes.as_deref().map(KernelSide::aliases);
        let mut targets = HashSet::from([target]);
        for (one, other) in aliases.unwrap_or_default() {
            if one == target || other == target {
                targets.extend([one, other]);
            }
        }
        targets
    }

    /// A file may carry no more than that for a while.
    pub(super) fn lower(&mut self, now: Instant, load: Load, level: Level) {
        // What it lacks it cannot keep.
        let cheapest = ProbeGroup::new(load.family, 0);
        let has_cheapest = |target: &Target| target.has(cheapest);
        let level = if self.targets.get(load.file).is_some_and(has_cheapest) {
            level
        } else {
            Level::NONE
        };
        if level < self.budget.level(load) {
            let away = self.budget.off(now, load, level);
            let (target, what) = (load.file, name(load));
            tracing::warn!(target, ?level, for_at_least = ?away, "probes on {what} taken off a file");
            self.set_groups(target);
        }
    }

    /// A file may carry again what the budget allows, and no more than that.
    fn raise(&mut self, now: Instant, load: Load, most: Level) {
        let level = if load.family == ProbeGroup::EXACT.family() {
            self.affordable(load.file, most)
        } else {
            // Nothing but its probes tells how fast they are hit.
            most
        };
        if level > self.budget.level(load) {
            let (target, what) = (load.file, name(load));
            tracing::info!(target, ?level, "probes on {what} allowed again");
            self.budget.on(now, load, level);
            self.set_groups(target);
        }
    }

    /// How many of the groups of probes on goroutines a file's processes can afford.
    fn affordable(&mut self, target: u32, most: Level) -> Level {
        let Some(entry) = self.targets.get(target) else {
            return Level::NONE;
        };
        // Without probes only the state tells how fast goroutines are created;
        // where there is none, it must be tried.
        let rate = self
            .processes
            .iter_mut()
            .filter(|tracked| tracked.target == target)
            .filter_map(|tracked| tracked.created_per_second)
            .reduce(f64::max);
        let all = Level::all(ProbeGroup::EXACT.family());
        let batch = Level::without(ProbeGroup::EXACT);
        let one = cost::of_one(&entry.binary.plan, self.price);
        let tried = most == all || rate.is_some();
        if most == all && self.budget.allows(rate, one.sum()) {
            all
        } else if tried
            && entry.has(ProbeGroup::BATCH)
            && self.budget.allows(rate, one.within(batch))
        {
            batch
        } else {
            Level::NONE
        }
    }

    /// A process has ended: what it spent lately is its file's, and one that
    /// was never sampled shows that its file needs every probe.
    pub(super) fn settle(&mut self, tracked: &Tracked, events: &EventFigures) {
        let now = Instant::now();
        let observation = &tracked.observation;
        let plan = &observation.binary.plan;
        if let Some(key) = tracked.key {
            for (family, _) in measured(self.selection) {
                let cost = cost::of_family(plan, self.price, events, family);
                let load = Load {
                    file: tracked.target,
                    family,
                };
                self.budget.ended(now, key, load, cost);
            }
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

/// The families whose probes are measured against the budget.
fn measured(selection: Selection) -> impl Iterator<Item = (u8, &'static Family)> {
    let families = selection.families();
    families.filter(|(_, family)| family.thinning == CostControl::Measured)
}

/// The families whose hits the programs charge to the account that an event tells of,
/// and what they are called together.
fn charged(selection: Selection, kind: EventKind) -> impl Iterator<Item = (u8, &'static str)> {
    selection.families().filter_map(move |(number, family)| {
        let (is_charged, what) = match kind {
            EventKind::TooManyStops => {
                (number == ProbeGroup::RARE.family(), "collections and stops")
            }
            EventKind::TooManySpans => (family.span().is_some(), family.name),
            _ => (number == ProbeGroup::EXACT.family(), family.name),
        };
        is_charged.then_some((number, what))
    })
}

fn name(load: Load) -> &'static str {
    match Family::of(load.family) {
        _ if load.family == ProbeGroup::RARE.family() => "collections and stops",
        Some(family) => family.name,
        None => "",
    }
}

/// Two digits behind the point.
fn percent(share: f64) -> f64 {
    (share * 1e4).round() / 1e2
}
