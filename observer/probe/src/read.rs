//! Reading what was counted, and the bookkeeping of processes and targets.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use aya::maps::{MapError, MapKeys};
use observer_ebpf::{
    GcFigures, GoroutineFigures, ProbeGroup, ProcessKey, ProgramHealth, Registration,
    family::ProcessCounts as _, names,
};

use super::{ProbeError, Probes, clock, error::chain};

/// `BPF_NOEXIST` and `BPF_EXIST` of the kernel's `bpf_map_update_elem`.
const NO_EXIST: u64 = 1;
pub(super) const EXIST: u64 = 2;

/// What the kernel keeps.
pub struct Inventory {
    /// Every process life that has figures or is registered.
    pub keys: BTreeSet<ProcessKey>,
    /// How many entries each map has.
    pub entries: BTreeMap<&'static str, u64>,
}

impl Probes {
    /// Makes `target` (0: whoever hits first) the owner of a process, unless
    /// the process is registered already; returns what is registered, `None`
    /// where the process ended meanwhile. One that had ended before stays
    /// registered: nobody tells of its end again.
    pub fn register(&mut self, tgid: u32, target: u32) -> Result<Option<Registration>, ProbeError> {
        // As the programs choose it: microseconds, never 0.
        let epoch = ((clock::monotonic_ns() >> 10) as u32).max(1);
        let new = Registration {
            epoch,
            target,
            repaid_at_ns: 0,
            stops_repaid_at_ns: 0,
            spans_repaid_at_ns: 0,
        };
        let inserted = self.processes.insert(&tgid, &new, NO_EXIST);
        match (self.registration(tgid), inserted) {
            (None, Err(error)) if !exists(&error) => Err(ProbeError::Map {
                map: names::PROCESSES,
                reason: chain(&error),
            }),
            (registration, _) => Ok(registration),
        }
    }

    /// What is registered for a process.
    pub fn registration(&self, tgid: u32) -> Option<Registration> {
        self.processes.get(&tgid, 0).ok()
    }

    /// All registered processes.
    fn registrations(&self) -> Vec<(u32, Registration)> {
        self.processes.iter().filter_map(Result::ok).collect()
    }

    /// Takes a process out, for one whose end was missed. Its figures stay
    /// until [`Self::take`].
    pub fn unregister(&mut self, tgid: u32) {
        // Where it is gone already, that is as good.
        let _ = self.processes.remove(&tgid);
    }

    /// What the maps of processes and targets have in them.
    pub fn inventory(&self) -> Inventory {
        let goroutines: Vec<_> = self.goroutines.keys().flatten().collect();
        let gc: Vec<_> = self.gc.keys().flatten().collect();
        let (spans, in_flight) = self.span_keys();
        let registrations = self.registrations();
        let mut entries = BTreeMap::from([
            (names::PROCESSES, registrations.len() as u64),
            (names::GOROUTINES, goroutines.len() as u64),
            (names::GC, gc.len() as u64),
            (names::TARGETS, count(self.targets.keys())),
            (names::ALIASES, count(self.aliases.keys())),
        ]);
        if self.selection.has_spans() {
            entries.insert(names::SPANS, spans.len() as u64);
            entries.insert(names::IN_FLIGHT, in_flight.len() as u64);
        }
        let registered = registrations.into_iter().map(|(tgid, it)| ProcessKey {
            tgid,
            epoch: it.epoch,
        });
        let spans = spans.iter().map(|key| key.process);
        let in_flight = in_flight.iter().map(|key| key.process);
        let figures = goroutines
            .into_iter()
            .chain(gc)
            .chain(spans)
            .chain(in_flight);
        let keys = figures.chain(registered).collect();
        Inventory { keys, entries }
    }

    /// A process's figures. Those that are as `known` are shared with it.
    pub fn read(
        &self,
        key: ProcessKey,
        known: Option<&Arc<GcFigures>>,
    ) -> (GoroutineFigures, Option<Arc<GcFigures>>) {
        let goroutines = self.goroutines(key);
        let gc = self.gc.get(&key, 0).ok().map(|gc| match known {
            Some(known) if known.same(&gc) => Arc::clone(known),
            _ => Arc::new(gc),
        });
        (goroutines, gc)
    }

    /// A process's figures of goroutines, summed over CPUs.
    pub fn goroutines(&self, key: ProcessKey) -> GoroutineFigures {
        self.goroutines
            .get(&key, 0)
            .map_or(GoroutineFigures::ZERO, |cpus| {
                let mut sum = GoroutineFigures::ZERO;
                cpus.iter().for_each(|cpu| sum.add(cpu));
                sum
            })
    }

    /// A process's figures for the last time: they are deleted.
    pub fn take(&mut self, key: ProcessKey) -> (GoroutineFigures, Option<Arc<GcFigures>>) {
        let figures = self.read(key, None);
        // Where there was none, there is nothing to delete.
        let _ = self.goroutines.remove(&key);
        let _ = self.gc.remove(&key);
        self.take_spans(key);
        figures
    }

    /// Pairs of targets (loser, owner) that fired for one process: they are
    /// one file underneath, and only the owner's hits count there. Two targets
    /// may be in it both ways round, each as the owner of other processes.
    pub fn aliases(&self) -> Vec<(u32, u32)> {
        self.aliases
            .keys()
            .filter_map(Result::ok)
            .map(|pair| ((pair >> 32) as u32, pair as u32))
            .collect()
    }

    /// Clears what is kept for a target whose probes are gone. The processes
    /// it owned keep their figures, and the target that hits next owns them:
    /// they are returned.
    pub fn forget_target(&mut self, target: u32) -> Vec<ProcessKey> {
        let _ = self.targets.remove(&target);
        for (loser, owner) in self.aliases() {
            if loser == target || owner == target {
                let _ = self
                    .aliases
                    .remove(&(u64::from(loser) << 32 | u64::from(owner)));
            }
        }
        let mut freed = Vec::new();
        for (tgid, registration) in self.registrations() {
            if registration.target == target {
                let free = Registration {
                    target: 0,
                    ..registration
                };
                // Fails where the process has ended, as it should.
                let _ = self.processes.insert(&tgid, &free, EXIST);
                freed.push(ProcessKey {
                    tgid,
                    epoch: registration.epoch,
                });
            }
        }
        freed
    }

    /// Forgets what was under way in a target's processes when a group of its probes
    /// left. None of it may stand.
    pub(super) fn forget_unfinished(&mut self, target: u32, group: ProbeGroup) {
        if group != ProbeGroup::RARE {
            let its = self.registrations().into_iter();
            let its = its.filter(|(_, registration)| registration.target == target);
            let keys = its.map(|(tgid, registration)| ProcessKey {
                tgid,
                epoch: registration.epoch,
            });
            let keys: Vec<_> = keys.collect();
            self.forget_in_flight(group.family(), &keys);
            return;
        }
        for (tgid, registration) in self.registrations() {
            let epoch = registration.epoch;
            let key = ProcessKey { tgid, epoch };
            if registration.target == target
                && let Ok(mut gc) = self.gc.get(&key, 0)
            {
                gc.forget_unfinished();
                // Fails where the process has ended, as it should.
                let _ = self.gc.insert(&key, &gc, EXIST);
            }
        }
    }

    /// The programs' own counters, summed over CPUs.
    pub fn health(&self) -> ProgramHealth {
        self.health.get(&0, 0).map_or_else(
            |_| ProgramHealth::default(),
            |cpus| {
                cpus.iter()
                    .copied()
                    .fold(ProgramHealth::default(), ProgramHealth::plus)
            },
        )
    }
}

/// Whether there was an entry already.
fn exists(error: &MapError) -> bool {
    matches!(error, MapError::SyscallError(error)
        if error.io_error.raw_os_error() == Some(libc::EEXIST))
}

fn count<K: aya::Pod>(keys: MapKeys<'_, K>) -> u64 {
    keys.flatten().count() as u64
}
