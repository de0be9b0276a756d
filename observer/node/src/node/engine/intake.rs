//! How processes come under observation: they are looked at, their files are inspected,
//! and probes are set.

use std::{os::fd::AsFd, sync::Arc, time::Instant};

use observer_ebpf::Event;
use observer_go::{
    binary::{Binary, Inspected},
    discover::{Executable, FileId},
};

use super::{lives::Ended, state::Engine};
use crate::node::{
    coverage::{ProcessStatus, Sight, coverage},
    cross_check::Ids,
    inspector::{Done, Failed, Job, Opened},
    observation::Observation,
    probe_policy::ProbePolicy,
    processes::Seen,
    targets::KnownFile,
};

impl Engine {
    /// A process runs a new program.
    pub(super) fn exec(&mut self, event: &Event) {
        if self.is_outrun(event) {
            return;
        }
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
            self.begins(target);
        }
        let Some(tracked) = self.processes.get_mut(pid) else {
            return;
        };
        let Some(target) = self.targets.get(tracked.target) else {
            return;
        };
        let seen = Seen::of(target, Some(exec));
        let standing = ProcessStatus::new(tracked.key, self.probes.as_deref(), seen.goroutines);
        let mut observation = Observation::clone(&tracked.observation);
        tracked.sight = seen.goroutines;
        observation.figures.events.from_start = seen.goroutines == Sight::Whole;
        observation.figures.events.collections_from_start = seen.collections;
        if seen.batches {
            tracked.ids = Ids::FROM_START;
        }
        observation.coverage = coverage(
            &target.binary,
            &target.attachment,
            standing,
            &tracked.sampler,
        );
        tracked.observation = Arc::new(observation);
        self.began_unseen(pid);
    }

    /// Everything that runs now.
    pub(super) fn scan(&mut self) {
        match self.system.pids() {
            Ok(pids) => {
                for pid in &pids {
                    if !self.knows(*pid) {
                        self.look(*pid, None);
                    }
                }
                self.unreadable.all_looked_at(&pids);
            }
            Err(error) => tracing::error!(%error, "failed to list the processes in /proc"),
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
        let executable = match self.system.executable(pid) {
            Ok(executable) => executable,
            Err(error) => {
                self.left(pid, exec, &error);
                return true;
            }
        };
        self.unreadable.read(pid);
        self.hosts.runs(pid, executable.id);
        match self.targets.known(&*self.system, pid, executable.id) {
            KnownFile::NotGo { loads_libraries } => {
                if loads_libraries {
                    self.hosts.saw(pid, executable.id, Instant::now());
                }
            }
            KnownFile::Target(target) => self.take_up(pid, &executable, target, exec),
            known => {
                let waiting = self.waiting.entry(executable.id).or_default();
                if waiting.iter().any(|(_, waits, _)| *waits == pid) {
                    return true;
                }
                waiting.push((executable.clone(), pid, exec));
                if waiting.len() > 1 {
                    return true;
                }
                let pinned = match self.system.pin_executable(pid) {
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
                    cgroup: self.system.cgroup_key(pid),
                    known: match known {
                        KnownFile::Inspected(binary) => Some(binary),
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
                tracing::warn!(file = %path, %error, "failed to inspect executable; its processes stay unobserved");
                self.targets.is_not_go(done.id, false);
                "error"
            }
            (Err(Failed::Passing(error)), _) => {
                let again_after = self.targets.failed(done.id, Instant::now());
                tracing::warn!(file = %path, %error, ?again_after, "failed to inspect executable; trying again");
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
            ProbePolicy::none()
        } else {
            ProbePolicy::new()
        };
        let probes = self.probes.as_deref_mut();
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
}

/// Whether an open file is the one of this identity.
fn is_file(file: impl AsFd, id: FileId) -> bool {
    FileId::of_file(file).is_ok_and(|found| found == id)
}
