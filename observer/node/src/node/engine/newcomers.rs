//! Processes that began before the probes on every goroutine stood: each is read within
//! milliseconds, and counted from there on, lest it ends before the next sample.

use std::time::Instant;

use observer_ebpf::ProbeGroup;

use super::state::Engine;
use crate::node::{coverage::Sight, processes::Tracked};

/// Whether a process is counted from now on, and nothing tells what came before.
pub(super) fn is_new(tracked: &Tracked) -> bool {
    let figures = &tracked.observation.figures;
    let is_known = figures.state.is_some() || figures.events.from_start;
    !is_known && tracked.observation.probes.has(ProbeGroup::EXACT) && !tracked.sampler.is_old()
}

impl Engine {
    /// A program begins: where goroutines of its file are not counted, they
    /// are from now on.
    pub(super) fn begins(&mut self, target: u32) {
        let now = Instant::now();
        let Some(entry) = self.targets.get_mut(target) else {
            return;
        };
        if entry.need.is_exact() || self.cautious {
            return;
        }
        entry.need.unknown(now, self.clocks.stay);
        self.set_groups(target);
    }

    /// A process is observed whose beginning is known by now; where probes missed that,
    /// it is read soon.
    pub(super) fn began_unseen(&mut self, pid: u32) {
        let missed = |tracked: &Tracked| tracked.sight == Sight::Partial && is_new(tracked);
        if self.processes.get(pid).is_some_and(missed) {
            self.newcomers.add(pid, Instant::now());
        }
    }

    /// Samples those that are due, so that they are counted from there on; a sample that
    /// something was counted in meanwhile is no beginning.
    pub(super) fn sample_newcomers(mut self: Box<Self>) -> Option<Box<Self>> {
        let now = Instant::now();
        if self.newcomers.due().is_none_or(|due| due > now) {
            return Some(self);
        }
        self.watchdog.busy(true);
        // One by one: where one holds up the read, another thread goes on with those left.
        while let Some((pid, tries)) = self.newcomers.pop_due(now) {
            if !self.processes.get(pid).is_some_and(is_new) {
                continue;
            }
            let begun;
            (self, begun) = self.begin(pid)?;
            if !begun {
                self.newcomers.again(pid, tries, Instant::now());
            }
        }
        self.watchdog.busy(false);
        Some(self)
    }
}
