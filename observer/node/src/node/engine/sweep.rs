//! What sets right what events missed: everything is held against /proc.

use std::{collections::HashSet, time::Instant};

use observer_ebpf::ProcessKey;
use observer_go::discover::FileId;

use super::{lives::Ended, state::Engine};
use crate::node::kernel::KernelSide;

impl Engine {
    /// Whether the kernel told of every process that came and went since
    /// everything was last compared with /proc, which is done now if not.
    fn saw_everything(&mut self) -> bool {
        let health = self.probes.as_deref().map(KernelSide::health);
        let lost = health.map(|health| health.lost_events);
        let now = Instant::now();
        let recent = |(at, _): &(Instant, _)| now.duration_since(*at) < self.clocks.full_sweep;
        let saw = lost.is_some()
            && self
                .compared
                .as_ref()
                .is_some_and(|compared| recent(compared) && compared.1 == lost);
        if !saw {
            self.compared = Some((now, lost));
        }
        saw
    }

    /// Sets right what events missed: a full ring buffer loses some.
    pub(super) fn sweep(&mut self) {
        // Should a signal have been missed.
        self.give_way();
        let saw_everything = self.saw_everything();
        for pid in self.processes.pids() {
            let gone = !saw_everything
                && self.processes.get(pid).is_some_and(|tracked| {
                    !self
                        .system
                        .lives(pid, tracked.observation.process.start_ticks)
                });
            if gone {
                self.end(pid, Ended::Exited);
            } else if self.has_begun(pid) || (!saw_everything && self.is_replaced(pid)) {
                self.end(pid, Ended::ByExec);
                self.look(pid, None);
            }
        }
        if !saw_everything {
            self.scan();
        }
        self.keep_held();
        self.keep_hosts();
        (self.targets).retire(&*self.system, self.probes.as_deref_mut());
        self.take_strays();
        self.close_accounts();
    }

    /// Whether a process that had only forked when it was looked at runs a
    /// program by now, and no event told of it.
    fn has_begun(&self, pid: u32) -> bool {
        self.processes
            .get(pid)
            .is_some_and(|tracked| tracked.observation.process.forked)
            && !self.system.has_only_forked(pid)
    }

    /// Whether a process runs another program than it is known to, and no event told
    /// of it. A file is told by its inode: whatever is done to it, it changes no more
    /// while it runs.
    fn is_replaced(&self, pid: u32) -> bool {
        let Some(tracked) = self.processes.get(pid) else {
            return false;
        };
        let registered = self.probes.as_deref().zip(tracked.key);
        let registered = registered.and_then(|(probes, key)| {
            let now = probes.registration(pid)?;
            Some(now.epoch != key.epoch)
        });
        let known = tracked.observation.process.executable.id;
        let other = |id: FileId| (id.device, id.inode) != (known.device, known.inode);
        // Whoever cannot be looked at is on its way out.
        let runs_other = || self.system.executable(pid).is_ok_and(|now| other(now.id));
        registered.unwrap_or(false) || runs_other()
    }

    /// Entries in the kernel's maps that belong to no process known: one that
    /// stays a stray for a whole sweep goes, unless the process is there.
    fn take_strays(&mut self) {
        let Some(probes) = &mut self.probes else {
            return;
        };
        let known: HashSet<ProcessKey> = self.processes.keys().collect();
        let mut inventory = probes.inventory();
        let keys = inventory.keys.iter().copied();
        let strays: HashSet<ProcessKey> = keys.filter(|key| !known.contains(key)).collect();
        let mut taken = HashSet::new();
        for key in strays.intersection(&self.strays) {
            let registered = probes
                .registration(key.tgid)
                .is_some_and(|it| it.epoch == key.epoch);
            if registered && self.system.exists(key.tgid) {
                continue;
            }
            probes.take(*key);
            if registered {
                // It ended just before it was registered.
                probes.unregister(key.tgid);
            }
            taken.insert(*key);
        }
        if !taken.is_empty() {
            probes.forget_spans(&|process| !taken.contains(&process));
            inventory = probes.inventory();
        }
        self.map_entries = inventory.entries;
        self.strays = strays;
    }
}
