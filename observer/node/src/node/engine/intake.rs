//! How processes come under observation, and how they leave it.

use std::{os::fd::AsFd, sync::Arc, time::Instant};

use observer_ebpf::{Event, ProcessKey, family::Reading as _};
use observer_go::{
    binary::{Binary, Inspected},
    discover::{self, DiscoverError, Executable, FileId, Membership, Process, Witness},
};

use super::Engine;
use crate::node::{
    coverage::{Standing, coverage},
    exclusion::Verdict,
    inspector::{Done, Failed, Job, Opened},
    lineage::Proc,
    need::Need,
    observation::Observation,
    planes::Ids,
    processes::Seen,
    spans,
    targets::Known,
    watch::Watch,
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
    /// A process runs a new program.
    pub(super) fn exec(&mut self, event: &Event) {
        // What it is to be left alone for may be another thing now.
        self.left_alone.remove(event.tgid);
        self.hosts.forget(event.tgid);
        // A fork's event, or a scan, may have been faster than this one: then
        // the new program is observed already, and only its beginning is news.
        // Its registration is younger than the exec where the kernel had none
        // then (epoch 0), or gave it then.
        let key = self.processes.get(event.tgid).and_then(|it| it.key);
        if key.is_some_and(|key| event.epoch == 0 || key.epoch == event.epoch) {
            self.began(event.tgid, event.at);
        } else {
            self.end(event.tgid, Ended::ByExec);
            self.look(event.tgid, Some(event.at));
        }
    }

    /// When an observed process began is known now.
    fn began(&mut self, pid: u32, exec: u64) {
        if let Some(target) = self.processes.get(pid).map(|tracked| tracked.target) {
            self.newcomer(target);
        }
        let Some(tracked) = self.processes.get_mut(pid) else {
            return;
        };
        let Some(target) = self.targets.get(tracked.target) else {
            return;
        };
        let seen = Seen::of(target, Some(exec));
        let standing = Standing::new(tracked.key, self.probes.as_ref(), seen.goroutines);
        let mut observation = Observation::clone(&tracked.observation);
        observation.figures.events.from_start = seen.goroutines;
        observation.figures.events.collections_from_start = seen.collections;
        if seen.batches {
            tracked.ids = Ids::FROM_START;
        }
        observation.coverage =
            coverage(&target.binary, &target.attachment, standing, &tracked.watch);
        tracked.observation = Arc::new(observation);
    }

    /// Everything that runs now.
    pub(super) fn scan(&mut self) {
        match discover::pids() {
            Ok(pids) => {
                for pid in &pids {
                    if !self.knows(*pid) {
                        self.look(*pid, None);
                    }
                }
                self.unreadable.all_looked_at(&pids);
            }
            Err(error) => tracing::error!(%error, "cannot list processes"),
        }
    }

    /// Looks at what a process runs.
    pub(super) fn look(&mut self, pid: u32, exec: Option<u64>) {
        // What it runs may change under the look. Where it does so again and again,
        // each exec's event is another reason to look.
        const TRIES: u32 = 3;
        let mut tries = 0..TRIES;
        while tries.next().is_some() && !self.looked(pid, exec) {}
    }

    /// Looks once; `false` where what was found was another file a moment later.
    fn looked(&mut self, pid: u32, exec: Option<u64>) -> bool {
        let executable = match discover::executable(pid) {
            Ok(executable) => executable,
            Err(error) => {
                self.left(pid, exec, &error);
                return true;
            }
        };
        self.unreadable.read(pid);
        self.hosts.runs(pid, executable.id);
        match self.targets.known(pid, executable.id) {
            Known::NotGo { loads_libraries } => {
                if loads_libraries {
                    self.hosts.saw(pid, executable.id, Instant::now());
                }
            }
            Known::Target(target) => self.take_up(pid, &executable, target, exec),
            known => {
                let waiting = self.waiting.entry(executable.id).or_default();
                if waiting.iter().any(|(_, waits, _)| *waits == pid) {
                    return true;
                }
                waiting.push((executable.clone(), pid, exec));
                if waiting.len() > 1 {
                    return true;
                }
                let pinned = match discover::pin_executable(pid) {
                    // It runs another program by now.
                    Ok(pinned) if !is_file(&pinned, executable.id) => {
                        self.waiting.remove(&executable.id);
                        return false;
                    }
                    Ok(pinned) => pinned,
                    Err(error) => {
                        tracing::debug!(pid, %error, "executable left out");
                        self.unreadable.failed(pid, &error);
                        self.waiting.remove(&executable.id);
                        return true;
                    }
                };
                self.inspector.submit(Job {
                    id: executable.id,
                    pinned,
                    cgroup: discover::cgroup_key(pid),
                    known: match known {
                        Known::Inspected(binary) => Some(binary),
                        _ => None,
                    },
                });
            }
        }
        true
    }

    /// A file has been inspected: attach it and take up those who wait for it.
    pub(super) fn inspected(&mut self, done: Done) {
        let waiting = self.waiting.remove(&done.id).unwrap_or_default();
        let Some((executable, _, _)) = waiting.first() else {
            return;
        };
        let path = executable.path.display();
        let changed = match (&done.result, &done.opened) {
            (Err(Failed::Changed), _) => true,
            (_, Some(Opened::Here(file))) => !is_file(file, done.id),
            _ => false,
        };
        // What was found is true of neither program.
        if changed {
            tracing::info!(file = %path, "changed while it was inspected; looking again");
            for (_, pid, exec) in waiting {
                self.look(pid, exec);
            }
            return;
        }
        let outcome = match (done.result, &done.opened) {
            (Ok(Inspected::Go(binary)), Some(opened)) => {
                let binary = Arc::new(*binary);
                tracing::info!(file = %path, version = %binary.version, "Go executable");
                self.attach(&waiting, opened, done.id, binary);
                "go"
            }
            (Ok(Inspected::NotGo(reason)), _) => {
                tracing::debug!(file = %path, %reason, "not a Go executable");
                let loads_libraries = reason.loads_libraries();
                self.targets.is_not_go(done.id, loads_libraries);
                let ran = waiting.iter().filter(|_| loads_libraries);
                for (executable, pid, _) in ran {
                    self.hosts.saw(*pid, executable.id, Instant::now());
                }
                "not_go"
            }
            (Err(Failed::Damaged(error)), _) => {
                tracing::warn!(file = %path, %error, "executable cannot be inspected; its processes stay unobserved");
                self.targets.is_not_go(done.id, false);
                "error"
            }
            (Err(Failed::Passing(error)), _) => {
                let again_after = self.targets.failed(done.id, Instant::now());
                tracing::warn!(file = %path, %error, ?again_after, "executable cannot be inspected now");
                "error"
            }
            // Found again by the next sweep that looks at all that runs.
            (Err(Failed::LeftOut | Failed::Changed) | Ok(Inspected::Go(_)), _) => {
                tracing::debug!(file = %path, "too many executables wait to be inspected; left out for now");
                "left_out"
            }
        };
        *self.targets.inspected.entry(outcome).or_default() += 1;
    }

    /// Sets probes on a file for those that run it, where one of them may be
    /// observed.
    fn attach(
        &mut self,
        waiting: &[(Executable, u32, Option<u64>)],
        opened: &Opened,
        id: FileId,
        binary: Arc<Binary>,
    ) {
        // All are asked before the first probe is set: it would be in all of them.
        let admitted: Vec<_> = waiting
            .iter()
            .filter(|(executable, pid, exec)| self.admits(*pid, executable, *exec, &binary))
            .collect();
        let Some((executable, _, _)) = admitted.first() else {
            self.targets.remember(id, binary);
            return;
        };
        let need = if self.cautious {
            Need::none()
        } else {
            Need::new()
        };
        let probes = self.probes.as_mut();
        let target = (self.targets).attach(probes, executable, opened, binary, need);
        for (executable, pid, exec) in admitted {
            self.track(*pid, executable.id, target, *exec);
        }
    }

    /// Takes up a process whose file was looked at before.
    fn take_up(&mut self, pid: u32, executable: &Executable, target: u32, exec: Option<u64>) {
        let Some(known) = self.targets.get(target) else {
            return;
        };
        let binary = Arc::clone(&known.binary);
        if self.admits(pid, executable, exec, &binary) {
            self.track(pid, executable.id, target, exec);
        }
    }

    /// Takes up a process whose file carries probes.
    fn track(&mut self, pid: u32, id: FileId, target: u32, exec: Option<u64>) {
        if self.processes.contains(pid) {
            return;
        }
        if exec.is_some() {
            self.newcomer(target);
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
    }

    /// A whole look at a process.
    pub(super) fn process(&mut self, pid: u32) -> Result<Process, DiscoverError> {
        discover::process(pid).map(|process| self.with_origin(process))
    }

    /// Says how it came into its container.
    fn with_origin(&mut self, process: Process) -> Process {
        let Some(container) = &process.container else {
            return process;
        };
        let cgroups = &mut self.cgroups;
        let is_in = |cgroup| {
            let there = cgroups.container_of(cgroup);
            there.is_some_and(|it| it.id == container.id)
        };
        let origin = self.lineage.origin(&Proc, process.pid, container, is_in);
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
        let Some(probes) = self.probes.as_mut() else {
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
                tracing::warn!(pid, %error, "process cannot be registered with the probes");
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
        let standing = Standing::new(key, self.probes.as_ref(), seen.goroutines);
        let coverage = coverage(&entry.binary, &entry.attachment, standing, &Watch::new());
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
        let container = self.cgroups.container_of(event.cgroup);
        let pod_uid = container.as_ref().and_then(|it| it.pod_uid.clone());
        let place = Membership { container, pod_uid };
        // Nobody can touch it any more; and what it did is known only of a process
        // whose file had probes for another's sake.
        if let Verdict::Excluded(_) = self.exclusion.verdict_there(&executable, &place) {
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

/// Whether an open file is the one of this identity.
fn is_file(file: impl AsFd, id: FileId) -> bool {
    FileId::of_file(file).is_ok_and(|found| found == id)
}
