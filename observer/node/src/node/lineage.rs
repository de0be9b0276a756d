//! How each process came into its container: a container's figures are its
//! service's, and neither its probes' nor its sandbox's.
//!
//! A container's main process is begun from outside, as is whatever a runtime
//! executes in it later. The main process is the first of its pid namespace, or
//! where that is shared with others the first of the container; it lives as long
//! as the container does. Who began whom is told by the kernel at each exec,
//! before anybody could be gone or have been given another parent; where it was
//! not told, /proc says who is whose child now.

use std::num::NonZeroUsize;

use lru::LruCache;
use observer_ebpf::{Event, EventKind};
use observer_go::discover::{self, Container, Kin, Origin};

/// Processes, sessions and containers remembered.
const PROCESSES: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");
const SESSIONS: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");
const CONTAINERS: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");
/// Longest line of ancestors that is followed.
const DEEPEST: usize = 256;

/// What can be asked about processes that live.
pub(super) trait Kinship {
    fn kin(&self, pid: u32) -> Option<Kin>;
    /// Every process of a container, the first to begin first.
    fn all_in(&self, container: &str) -> Vec<Kin>;
    fn is_from_outside(&self, pid: u32, parent: u32) -> bool;
    fn share_pid_namespace(&self, one: u32, other: u32) -> bool;
    fn lives(&self, pid: u32, start_ticks: u64) -> bool;
}

/// Who began a process, as the kernel told.
#[derive(Clone, Copy, Debug)]
struct Link {
    parent: u32,
    /// In which cgroups the two were then; 0 where that was not told.
    cgroup: u64,
    parent_cgroup: u64,
}

/// What was found of a process. Its id may be another's by now.
#[derive(Clone, Debug)]
struct Found {
    container: String,
    origin: Origin,
    start_ticks: Option<u64>,
}

/// What is known of every container's processes.
pub(super) struct Lineage {
    links: LruCache<u32, Link>,
    found: LruCache<u32, Found>,
    /// The main process of each container.
    mains: LruCache<String, Kin>,
    /// Sessions that were begun by injected processes: whom they left behind
    /// has another parent by now.
    injected: LruCache<u32, ()>,
}

impl Lineage {
    pub(super) fn new() -> Self {
        Self {
            links: LruCache::new(PROCESSES),
            found: LruCache::new(PROCESSES),
            mains: LruCache::new(CONTAINERS),
            injected: LruCache::new(SESSIONS),
        }
    }

    /// Notes who began whom.
    pub(super) fn told(&mut self, event: &Event, kinship: &dyn Kinship) {
        // What the runtime begets on its way in is gone, or about to execute; its
        // last process is begun from outside, whoever forked it.
        let enters = event.comm.starts_with(discover::RUNC.as_bytes());
        if event.kind == EventKind::Fork as u32 && enters {
            self.links.pop(&event.tgid);
            self.found.pop(&event.tgid);
            return;
        }
        let link = match EventKind::from_u32(event.kind) {
            Some(EventKind::Exec) if event.parent != 0 || event.parent_cgroup != 0 => Link {
                parent: event.parent,
                cgroup: event.cgroup,
                parent_cgroup: event.parent_cgroup,
            },
            // It is the parent that the kernel tells the cgroup of; the child is born there.
            Some(EventKind::Fork) => Link {
                parent: event.parent,
                cgroup: event.cgroup,
                parent_cgroup: event.cgroup,
            },
            _ => return,
        };
        // One that runs another program now may have been left by its parent since.
        let same = |found: &Found| {
            let start = found.start_ticks;
            found.origin == Origin::Injected
                && start.is_some_and(|start| kinship.lives(event.tgid, start))
        };
        if self.found.peek(&event.tgid).is_some_and(same) {
            return;
        }
        self.found.pop(&event.tgid);
        self.links.put(event.tgid, link);
    }

    /// How a process came into its container. `is_in`: whether a cgroup is one of
    /// that container's.
    pub(super) fn origin(
        &mut self,
        kinship: &dyn Kinship,
        pid: u32,
        container: &Container,
        mut is_in: impl FnMut(u64) -> bool,
    ) -> Origin {
        let id = &container.id;
        let inside = |kin: &Kin| kin.container.as_ref().is_some_and(|it| it.id == *id);
        let mut ancestors: Vec<(u32, Option<u64>)> = Vec::new();
        let mut at = pid;
        let origin = loop {
            if let Some(known) = self.known(kinship, at, id) {
                break known;
            }
            let kin = kinship.kin(at);
            // Its program lies on no mount that anybody could name.
            if kin.as_ref().is_some_and(|kin| kin.enters) {
                break Origin::Runtime;
            }
            ancestors.push((at, kin.as_ref().map(|kin| kin.start_ticks)));
            let session = kin.as_ref().map_or(0, |kin| kin.session);
            if self.injected.contains(&session) {
                break Origin::Injected;
            }
            // Beside cgroup v1 the numbers of cgroups tell nothing of containers.
            let link = self.links.get(&at).copied();
            let link = link.filter(|link| link.parent_cgroup != 0 && is_in(link.cgroup));
            let now = kin.as_ref().map(|kin| kin.parent);
            let parent = match link {
                Some(link) if link.parent == 0 || !is_in(link.parent_cgroup) => {
                    break self.of_entry(kinship, at, kin.as_ref(), id);
                }
                // Also where that one is gone, if anything is known of him.
                Some(link) if self.is_known(kinship, link.parent) => Some(link.parent),
                _ => now,
            };
            let Some(parent) = parent.filter(|_| ancestors.len() < DEEPEST) else {
                // Gone, and nobody was told of.
                break Origin::Service;
            };
            let is_inside = match kinship.kin(parent) {
                Some(found) => inside(&found),
                None => self.is_known(kinship, parent),
            };
            if !is_inside {
                break self.of_entry(kinship, at, kin.as_ref(), id);
            }
            at = parent;
        };
        // The runtime becomes the container's main process by an exec.
        if origin == Origin::Runtime {
            return origin;
        }
        for (pid, start_ticks) in ancestors {
            let found = Found {
                container: id.clone(),
                origin,
                start_ticks,
            };
            self.found.put(pid, found);
        }
        origin
    }

    fn is_known(&self, kinship: &dyn Kinship, pid: u32) -> bool {
        self.links.contains(&pid) || self.found.contains(&pid) || kinship.kin(pid).is_some()
    }

    fn known(&mut self, kinship: &dyn Kinship, pid: u32, container: &str) -> Option<Origin> {
        let found = self.found.get(&pid)?;
        let lives = |start| kinship.lives(pid, start) || kinship.kin(pid).is_none();
        (found.container == container && found.start_ticks.is_none_or(lives))
            .then_some(found.origin)
    }

    /// Of a process whose parent is outside of the container.
    fn of_entry(
        &mut self,
        kinship: &dyn Kinship,
        pid: u32,
        kin: Option<&Kin>,
        container: &str,
    ) -> Origin {
        if let Some(kin) = kin {
            if kinship.is_from_outside(pid, kin.parent) {
                return Origin::Runtime;
            }
            if kin.inner_pid == 1 {
                self.mains.put(container.to_owned(), kin.clone());
                return Origin::Service;
            }
        }
        // The container is over with its main process.
        let Some(main) = self.main(kinship, container) else {
            return Origin::Service;
        };
        let Some(kin) = kin else {
            return if main.pid == pid {
                Origin::Service
            } else {
                Origin::Injected
            };
        };
        let sessions = kin.session != 0 && kin.session == main.session;
        if main.pid == pid || sessions || is_orphan(kinship, kin) {
            return Origin::Service;
        }
        if kin.session == pid {
            self.injected.put(pid, ());
        }
        Origin::Injected
    }

    fn main(&mut self, kinship: &dyn Kinship, container: &str) -> Option<Kin> {
        if let Some(main) = self.mains.get(container)
            && kinship.lives(main.pid, main.start_ticks)
        {
            return Some(main.clone());
        }
        let all = kinship.all_in(container);
        let is_entry = |kin: &&Kin| all.iter().all(|other| other.pid != kin.parent);
        let main = all
            .iter()
            .filter(is_entry)
            .filter(|kin| !kin.enters)
            .find(|kin| !kinship.is_from_outside(kin.pid, kin.parent))?
            .clone();
        self.mains.put(container.to_owned(), main.clone());
        Some(main)
    }
}

/// Whether its parent is the one that takes in orphans of a pid namespace that
/// the pod's containers share: the pod's own first process.
fn is_orphan(kinship: &dyn Kinship, kin: &Kin) -> bool {
    kinship.kin(kin.parent).is_some_and(|parent| {
        parent.inner_pid == 1
            && kin.pod_uid.is_some()
            && parent.pod_uid == kin.pod_uid
            && kinship.share_pid_namespace(kin.pid, parent.pid)
    })
}

#[cfg(test)]
mod tests;
