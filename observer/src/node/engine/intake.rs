//! How processes come under observation, and how they leave it.

use std::sync::Arc;

use observer_ebpf::{Event, ProcessKey};

use super::Engine;
use crate::{
    discover::{self, DiscoverError, Executable, Process},
    gobinary::Inspected,
    node::{
        coverage::{Attachment, Standing, coverage},
        inspector::Done,
        targets::Known,
    },
};

impl Engine {
    /// Everything that runs now.
    pub(super) fn scan(&mut self) {
        match discover::pids() {
            Ok(pids) => {
                for pid in pids {
                    if !self.processes.contains(pid) {
                        self.look(pid, None);
                    }
                }
            }
            Err(error) => tracing::error!(%error, "cannot list processes"),
        }
    }

    /// Looks at what a process runs.
    pub(super) fn look(&mut self, pid: u32, exec: Option<u64>) {
        let executable = match discover::executable(pid) {
            Ok(executable) => executable,
            Err(DiscoverError::Gone(_) | DiscoverError::Zombie(_)) => {
                if let Some(at) = exec {
                    self.execs.put(pid, at);
                }
                return;
            }
            Err(error) => {
                tracing::debug!(pid, %error, "process left out");
                return;
            }
        };
        match self.targets.known(pid, executable.id) {
            Known::NotGo => {}
            Known::Target(target) => self.track(pid, target, exec),
            known => {
                let waiting = self.waiting.entry(executable.id).or_default();
                if waiting.iter().any(|(_, waits, _)| *waits == pid) {
                    return;
                }
                waiting.push((executable.clone(), pid, exec));
                if waiting.len() > 1 {
                    return;
                }
                let file = match discover::open_executable(pid) {
                    Ok((file, _)) => file,
                    Err(error) => {
                        tracing::debug!(pid, %error, "executable left out");
                        self.waiting.remove(&executable.id);
                        return;
                    }
                };
                if let Known::Inspected(binary) = known {
                    let result = Ok(Inspected::Go(Box::new(binary.as_ref().clone())));
                    self.inspected(Done {
                        id: executable.id,
                        file,
                        result,
                    });
                } else {
                    self.inspector.submit(executable.id, file);
                }
            }
        }
    }

    /// A file has been inspected: attach it and take up those who wait for it.
    pub(super) fn inspected(&mut self, done: Done) {
        let waiting = self.waiting.remove(&done.id).unwrap_or_default();
        let Some((executable, _, _)) = waiting.first() else {
            return;
        };
        let path = executable.path.display();
        let outcome = match done.result {
            Ok(Inspected::Go(binary)) => {
                let probes = self.probes.as_mut();
                let binary = Arc::new(*binary);
                tracing::info!(file = %path, version = %binary.version, "Go executable");
                let target = self.targets.attach(probes, executable, &done.file, binary);
                for (executable, pid, exec) in &waiting {
                    // The process may have run something else meanwhile.
                    if discover::executable(*pid).is_ok_and(|now| now.id == executable.id) {
                        self.track(*pid, target, *exec);
                    }
                }
                "go"
            }
            Ok(Inspected::NotGo(reason)) => {
                tracing::debug!(file = %path, %reason, "not a Go executable");
                self.targets.is_not_go(done.id);
                "not_go"
            }
            Err(error) => {
                tracing::warn!(file = %path, %error, "executable cannot be inspected; its processes stay unobserved");
                self.targets.is_not_go(done.id);
                "error"
            }
        };
        *self.targets.inspected.entry(outcome).or_default() += 1;
    }

    /// Takes up a process whose file carries probes.
    fn track(&mut self, pid: u32, target: u32, exec: Option<u64>) {
        if self.processes.contains(pid) {
            return;
        }
        let process = match discover::process(pid) {
            Ok(process) => process,
            Err(DiscoverError::Gone(_) | DiscoverError::Zombie(_)) => {
                if let Some(at) = exec {
                    self.execs.put(pid, at);
                }
                return;
            }
            Err(error) => {
                tracing::debug!(pid, %error, "process left out");
                return;
            }
        };
        let registered = self.register(pid, target);
        self.targets.acquire(target);
        self.insert(process, target, registered, exec);
    }

    fn register(&mut self, pid: u32, target: u32) -> Option<ProcessKey> {
        let probes = self.probes.as_mut()?;
        match probes.register(pid, target) {
            Ok(registration) => Some(ProcessKey {
                tgid: pid,
                epoch: registration.epoch,
            }),
            Err(error) => {
                tracing::warn!(pid, %error, "process cannot be registered with the probes");
                None
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
        let from_start = match &entry.attachment {
            Attachment::Live(attached) => exec.is_some_and(|at| at > attached.since_ns),
            _ => false,
        };
        let registered = key.is_some() || self.probes.is_none();
        let standing = Standing {
            registered,
            from_start,
        };
        let coverage = coverage(&entry.binary, &entry.attachment, standing);
        let binary = Arc::clone(&entry.binary);
        self.processes
            .insert(process, binary, target, key, from_start, coverage);
    }

    /// A process is over: its last figures are kept, its entries go.
    pub(super) fn end(&mut self, pid: u32) {
        let Some(tracked) = self.processes.remove(pid) else {
            return;
        };
        let mut events = tracked.observation.figures.events.clone();
        if let (Some(probes), Some(key)) = (&mut self.probes, tracked.key) {
            (events.goroutines, events.gc) = probes.take(key);
        }
        self.targets.release(tracked.target);
        self.processes.end(&tracked.observation, events);
    }

    /// A process that came and went between two looks at /proc, yet was
    /// counted by the probes.
    pub(super) fn short_lived(&mut self, event: &Event) {
        let key = ProcessKey {
            tgid: event.tgid,
            epoch: event.epoch,
        };
        let exec = self.execs.pop(&event.tgid);
        let Some(target) = self.targets.get(event.target) else {
            if let Some(probes) = &mut self.probes {
                probes.take(key);
            }
            return;
        };
        let Some(id) = target.file() else { return };
        let comm = event
            .comm
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default();
        let process = Process {
            pid: event.tgid,
            inner_pid: event.tgid,
            start_ticks: 0,
            executable: Executable {
                id,
                path: target.path.clone(),
                deleted: false,
                memfd: false,
            },
            comm: String::from_utf8_lossy(comm).into_owned(),
            container: self.processes.container_of(event.cgroup),
            cgroup_id: Some(event.cgroup),
        };
        self.targets.acquire(event.target);
        self.insert(process, event.target, Some(key), exec);
        self.end(event.tgid);
    }
}
