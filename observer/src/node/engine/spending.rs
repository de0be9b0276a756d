//! Keeping to the budget, and under the observer's own ceiling.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use observer_ebpf::ProcessKey;
use rustix::time::{ClockId, clock_gettime};

use super::Engine;
use crate::node::{
    cost::{hot_cost_ns, pair_cost_ns},
    coverage::{Standing, coverage},
    observation::Observation,
};

impl Engine {
    /// Takes hot probes off files that have a process above the budget, and
    /// sets them again when they have been away for long enough. `read`: the
    /// figures were not read a moment ago.
    pub(super) fn keep_budget(&mut self, read: bool) {
        let Some(probes) = &self.probes else { return };
        let now = Instant::now();
        let mut over = HashSet::new();
        for tracked in self.processes.iter_mut() {
            let Some(key) = tracked.key else { continue };
            let seen = tracked.observation.figures.events.goroutines;
            let figures = if read { probes.read(key).0 } else { seen };
            let plan = &tracked.observation.binary.plan;
            let cost = hot_cost_ns(plan, self.price, &figures);
            if let Some(share) = self.budget.spent(now, key, cost) {
                let percent = (share * 1e4).round() / 1e2;
                let file = tracked.observation.process.executable.path.display();
                tracing::warn!(pid = key.tgid, %file, percent, "probes on goroutines cost more than the budget");
                over.insert(tracked.target);
            }
        }
        // Other targets on the same file underneath fire for its processes too.
        if !over.is_empty() {
            for (one, other) in probes.aliases() {
                if over.contains(&one) || over.contains(&other) {
                    over.extend([one, other]);
                }
            }
        }
        for target in over {
            self.hot_off(now, target);
        }
        for target in self.budget.due(now) {
            self.hot_on(now, target);
        }
    }

    fn hot_off(&mut self, now: Instant, target: u32) {
        if !self.targets.is_hot(target) {
            return;
        }
        let Some(probes) = &mut self.probes else {
            return;
        };
        match probes.set_hot(target, false) {
            Ok(_) => {
                let away = self.budget.off(now, target);
                tracing::warn!(target, for_at_least = ?away, "probes on goroutines taken off a file");
                self.targets.hot(target, None);
                self.cover(target);
            }
            Err(error) => tracing::warn!(%error, "probes on goroutines stay"),
        }
    }

    fn hot_on(&mut self, now: Instant, target: u32) {
        let (Some(probes), Some(entry)) = (&mut self.probes, self.targets.get(target)) else {
            return;
        };
        // Without probes only the state tells how fast goroutines are created;
        // where there is none, it must be tried.
        let created_per_second = self
            .processes
            .iter_mut()
            .filter(|tracked| tracked.target == target)
            .filter_map(|tracked| tracked.created_per_second)
            .reduce(f64::max);
        let pair = pair_cost_ns(&entry.binary.plan, self.price);
        if !self.budget.allows(created_per_second, pair) {
            return;
        }
        match probes.set_hot(target, true) {
            Ok(since) => {
                tracing::info!(target, "probes on goroutines set again");
                self.budget.on(now, target);
                self.targets.hot(target, since);
                self.cover(target);
            }
            Err(error) => {
                let away = self.budget.off(now, target);
                tracing::warn!(%error, again_after = ?away, "probes on goroutines stay off");
            }
        }
    }

    /// Tells a target's processes what is covered now. Whoever lived while
    /// hot probes were off is no longer known from the start.
    fn cover(&mut self, target: u32) {
        let Some(entry) = self.targets.get(target) else {
            return;
        };
        for tracked in self.processes.iter_mut().filter(|it| it.target == target) {
            let standing = Standing {
                registered: tracked.key.is_some(),
                from_start: false,
            };
            let mut observation = Observation::clone(&tracked.observation);
            observation.figures.events.from_start = false;
            observation.coverage =
                coverage(&entry.binary, &entry.attachment, standing, &tracked.watch);
            tracked.observation = Arc::new(observation);
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
        if let Some(share) = self.ceiling.used(Instant::now(), cpu) {
            let percent = (share * 1e4).round() / 1e2;
            let interval = self.ceiling.interval();
            tracing::warn!(
                percent,
                ?interval,
                "the observer's own CPU time: interval changed"
            );
        }
    }
}
