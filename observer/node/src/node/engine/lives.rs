//! A process under observation, from its registration to its end.

use std::sync::Arc;

use observer_ebpf::{Event, ProcessKey, family::ProcessCounts as _};
use observer_go::discover::{DiscoverError, Executable, FileId, Membership, Process, Witness};

use super::state::Engine;
use crate::node::{
    coverage::{ProcessStatus, coverage},
    exclusion::Admission,
    processes::Seen,
    spans,
    state_sampler::StateSampler,
};

/// How a program ended in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The process is no more.
    Exited,
    /// The process runs another program.
    ByExec,
}

impl Engine {
    /// Takes up a process whose file carries probes.
    pub(super) fn track(&mut self, pid: u32, id: FileId, target: u32, exec: Option<u64>) {
        if self.processes.contains(pid) {
            return;
        }
        if exec.is_some() {
            self.begins(target);
        }
        // First, so that an exec from here on changes the epoch.
        let key = match self.register(pid) {
            Ok(key) => key,
            Err(error) => {
                self.left(pid, exec, &error);
                return;
            }
        };
        let process = match self.process(pid) {
            Ok(process) => process,
            Err(error) => {
                self.left(pid, exec, &error);
                return;
            }
        };
        // It has run something else meanwhile: that exec's event is on its way.
        if process.executable.id != id {
            return;
        }
        self.targets.acquire(target);
        self.insert(process, target, key, exec);
        self.began_unseen(pid);
    }

    /// A whole look at a process.
    pub(super) fn process(&mut self, pid: u32) -> Result<Process, DiscoverError> {
        self.system
            .process(pid)
            .map(|process| self.with_origin(process))
    }

    /// Says how it came into its container.
    fn with_origin(&mut self, process: Process) -> Process {
        let Some(container) = &process.container else {
            return process;
        };
        let (cgroups, system) = (&mut self.cgroups, &*self.system);
        let is_in = |cgroup| {
            let there = cgroups.container_of(system, cgroup);
            there.is_some_and(|it| it.id == container.id)
        };
        let origin = (self.lineage).origin(system, process.pid, container, is_in);
        Process {
            origin: Some(origin),
            ..process
        }
    }

    /// A process that cannot be looked at.
    pub(super) fn left(&mut self, pid: u32, exec: Option<u64>, error: &DiscoverError) {
        self.unreadable.failed(pid, error);
        if !error.is_ended() {
            tracing::debug!(pid, %error, "process left out");
            return;
        }
        if let Some(at) = exec {
            self.execs.put(pid, at);
        }
    }

    /// Gives a process a place in the kernel's maps, where there is room. Whose
    /// probes count for it is left to its first hit: what it runs may change at
    /// any moment.
    fn register(&mut self, pid: u32) -> Result<Option<ProcessKey>, DiscoverError> {
        const FIRST_HIT_DECIDES: u32 = 0;
        let Some(probes) = self.probes.as_deref_mut() else {
            return Ok(None);
        };
        match probes.register(pid, FIRST_HIT_DECIDES) {
            Ok(Some(registration)) => Ok(Some(ProcessKey {
                tgid: pid,
                epoch: registration.epoch,
            })),
            // Whatever it did is in the event of its exit.
            Ok(None) => Err(DiscoverError::Gone(pid)),
            Err(error) => {
                tracing::warn!(pid, %error, "failed to register the process with the eBPF programs");
                Ok(None)
            }
        }
    }

    fn insert(
        &mut self,
        process: Process,
        target: u32,
        key: Option<ProcessKey>,
        exec: Option<u64>,
    ) {
        let Some(entry) = self.targets.get(target) else {
            return;
        };
        if let Some(cgroup) = process.cgroup_id {
            self.cgroups.learn(Witness {
                cgroup,
                container: process.container.clone(),
                sure: false,
            });
        }
        let seen = Seen::of(entry, exec);
        let standing = ProcessStatus::new(key, self.probes.as_deref(), seen.goroutines);
        let coverage = coverage(
            &entry.binary,
            &entry.attachment,
            standing,
            &StateSampler::new(),
        );
        let binary = Arc::clone(&entry.binary);
        self.processes
            .insert(process, binary, target, key, seen, coverage);
    }

    /// A process is over: its last figures are kept, its entries go.
    pub(super) fn end(&mut self, pid: u32, how: Ended) {
        let Some(tracked) = self.processes.remove(pid) else {
            return;
        };
        let mut events = tracked.observation.figures.events.clone();
        if let (Some(probes), Some(key)) = (&mut self.probes, tracked.key) {
            if probes.has_spans() {
                let mut last = probes.spans(key);
                spans::abandon(&mut last);
                events.spans = Arc::new(last);
            }
            (events.goroutines, events.gc) = probes.take(key);
        }
        self.targets.release(tracked.target);
        // Between fork and exec a child runs its parent's file and does nothing in it.
        let nothing = events.hits() == 0 && events.gc.is_none();
        if how == Ended::ByExec && nothing {
            return;
        }
        if how == Ended::Exited {
            self.settle(&tracked, &events);
        }
        self.processes.end(&tracked, events);
    }

    /// A process that came and went between two looks at /proc, yet was
    /// counted by the probes.
    pub(super) fn short_lived(&mut self, event: &Event) {
        let key = ProcessKey {
            tgid: event.tgid,
            epoch: event.epoch,
        };
        let exec = self.execs.pop(&event.tgid);
        let number = match self.disowned.pop(&key) {
            Some(owner) if event.target == 0 => owner,
            _ => event.target,
        };
        let Some(target) = self.targets.get(number) else {
            if let Some(probes) = &mut self.probes {
                probes.take(key);
            }
            return;
        };
        let id = target.file;
        let executable = Executable {
            id,
            path: target.path.clone(),
            deleted: false,
            memfd: false,
        };
        let container = self.cgroups.container_of(&*self.system, event.cgroup);
        let pod_uid = container.as_ref().and_then(|it| it.pod_uid.clone());
        let place = Membership { container, pod_uid };
        // Nobody can touch it any more; and what it did is known only of a process
        // whose file had probes for another's sake.
        if let Admission::Excluded(_) = self.exclusion.verdict_there(&executable, &place) {
            self.strip(id);
            if let Some(probes) = &mut self.probes {
                probes.take(key);
            }
            return;
        }
        let comm = event
            .comm
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default();
        let process = Process {
            pid: event.tgid,
            inner_pid: event.tgid,
            start_ticks: 0,
            executable,
            comm: String::from_utf8_lossy(comm).into_owned(),
            container: place.container,
            pod_uid: place.pod_uid,
            origin: None,
            cgroup_id: Some(event.cgroup),
            forked: exec.is_none(),
        };
        let process = self.with_origin(process);
        self.targets.acquire(number);
        self.insert(process, number, Some(key), exec);
        self.end(event.tgid, Ended::Exited);
    }
}
