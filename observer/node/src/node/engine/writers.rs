//! Files with probes that somebody waits to write to.

use std::sync::Arc;

use observer_ebpf::ProcessKey;

use super::state::Engine;
use crate::node::kernel::KernelSide;

impl Engine {
    /// Lets those write who wait to write to files with probes. Who ran them until
    /// then has told so in an event, and is counted.
    pub(super) fn give_way(&mut self) {
        let wanted = self.probes.as_deref().map(KernelSide::wanted);
        for target in wanted.unwrap_or_default() {
            // The next sweep asks again.
            if self.is_traced(target) {
                continue;
            }
            let freed = self.targets.give_way(target, self.probes.as_deref_mut());
            self.disown(target, freed);
            // Who has ended was counted to its end, of which an event is on its way.
            let system = Arc::clone(&self.system);
            self.cover_those(target, true, |process| {
                system.lives(process.pid, process.start_ticks)
            });
        }
    }

    /// A target that lost its probes owns these in the kernel no longer.
    pub(super) fn disown(&mut self, target: u32, freed: Vec<ProcessKey>) {
        for key in freed {
            // Whoever is not observed may end before it is looked at.
            if !self.processes.contains(key.tgid) {
                self.disowned.put(key, target);
            }
        }
    }
}
