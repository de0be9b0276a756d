//! Which container each cgroup is: learned from processes that could be looked
//! at, for those that are gone before.

use std::num::NonZeroUsize;

use lru::LruCache;
use observer_ebpf::{Event, EventKind};
use observer_go::discover::{Container, Witness};

use super::system::System;

/// Cgroups remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");

/// What is known of a cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
enum KnownCgroup {
    /// The container of all its processes; `None` where they are in none. A
    /// number is given to one cgroup only, so it holds for good.
    Sure(Option<Container>),
    /// What every process said that was asked so far.
    Claimed(Option<Container>),
    /// Two processes said different things.
    Shared,
}

/// What is known of each cgroup.
pub(super) struct Cgroups(LruCache<u64, KnownCgroup>);

impl Cgroups {
    pub(super) fn new() -> Self {
        Self(LruCache::new(REMEMBERED))
    }

    /// Asks the process of an event about the cgroup that it was in, where the
    /// answer is not known for good.
    pub(super) fn ask(&mut self, system: &dyn System, event: &Event) {
        if let Some(KnownCgroup::Sure(_) | KnownCgroup::Shared) = self.0.get(&event.cgroup) {
            return;
        }
        // At a fork it is the parent that the kernel tells the cgroup of.
        let pid = match EventKind::from_u32(event.kind) {
            Some(EventKind::Fork) => event.parent,
            Some(EventKind::Exec | EventKind::FirstHit) => event.tgid,
            Some(
                EventKind::Exit
                | EventKind::TooMuchAtOnce
                | EventKind::TooManyStops
                | EventKind::TooManySpans,
            )
            | None => {
                return;
            }
        };
        if let Some(witness) = system.witness(pid, event.cgroup) {
            self.learn(witness);
        }
    }

    /// The container of a process that was in this cgroup and is gone.
    pub(super) fn container_of(&mut self, system: &dyn System, cgroup: u64) -> Option<Container> {
        if self.0.get(&cgroup).is_none() {
            for witness in system.witnesses(cgroup) {
                let enough = witness.sure;
                self.learn(witness);
                if enough {
                    break;
                }
            }
        }
        match self.0.get(&cgroup)? {
            KnownCgroup::Sure(container) | KnownCgroup::Claimed(container) => container.clone(),
            KnownCgroup::Shared => None,
        }
    }

    pub(super) fn learn(&mut self, witness: Witness) {
        let known = if witness.sure {
            KnownCgroup::Sure(witness.container)
        } else {
            match self.0.get(&witness.cgroup) {
                None => KnownCgroup::Claimed(witness.container),
                Some(KnownCgroup::Claimed(claimed)) if *claimed == witness.container => return,
                Some(KnownCgroup::Claimed(_)) => KnownCgroup::Shared,
                Some(KnownCgroup::Sure(_) | KnownCgroup::Shared) => return,
            }
        };
        self.0.put(witness.cgroup, known);
    }
}

#[cfg(test)]
mod tests {
    use observer_go::discover::{self, Runtime};

    use super::*;
    use crate::node::system::Live;

    fn said(cgroup: u64, container: Option<&str>, sure: bool) -> Witness {
        Witness {
            cgroup,
            container: container.map(|id| Container {
                id: id.to_owned(),
                runtime: Runtime::Containerd,
                pod_uid: None,
            }),
            sure,
        }
    }

    /// No cgroup has such a number, so nobody can be asked.
    const NOBODY: u64 = u64::MAX - 7;

    fn container(cgroups: &mut Cgroups) -> Option<String> {
        cgroups
            .container_of(&Live, NOBODY)
            .map(|container| container.id)
    }

    #[test]
    fn a_cgroup_that_nobody_was_seen_in_has_no_container() {
        assert_eq!(container(&mut Cgroups::new()), None);
    }

    #[test]
    fn a_contradiction_unlearns() {
        let mut cgroups = Cgroups::new();
        for _ in 0..2 {
            cgroups.learn(said(NOBODY, Some("a"), false));
            assert_eq!(container(&mut cgroups).as_deref(), Some("a"));
        }
        // The runtime's own process, which moved into the container meanwhile.
        cgroups.learn(said(NOBODY, None, false));
        for _ in 0..2 {
            assert_eq!(container(&mut cgroups), None);
            cgroups.learn(said(NOBODY, Some("a"), false));
        }
    }

    #[test]
    fn what_is_sure_stays() {
        let mut cgroups = Cgroups::new();
        cgroups.learn(said(NOBODY, Some("moved"), false));
        cgroups.learn(said(NOBODY, Some("a"), true));
        cgroups.learn(said(NOBODY, None, false));
        assert_eq!(container(&mut cgroups).as_deref(), Some("a"));
        cgroups.learn(said(NOBODY - 1, None, true));
        assert_eq!(container(&mut cgroups).as_deref(), Some("a"));
    }

    #[test]
    fn who_is_asked_of_a_fork_is_the_parent() {
        let own = discover::process(std::process::id()).expect("this process");
        // Where no unified hierarchy is mounted, nobody tells of one.
        let cgroup = own.cgroup_id.unwrap_or(NOBODY);
        let event = |kind, tgid, parent| Event {
            kind: kind as u32,
            tgid,
            epoch: 0,
            old_epoch: 0,
            target: 0,
            parent,
            at: 0,
            cgroup,
            parent_cgroup: 0,
            comm: [0; observer_ebpf::COMM_LEN],
        };
        let mut cgroups = Cgroups::new();
        cgroups.ask(&Live, &event(EventKind::Exit, own.pid, 0));
        cgroups.ask(&Live, &event(EventKind::Fork, u32::MAX, u32::MAX));
        assert!(cgroups.0.get(&cgroup).is_none());
        cgroups.ask(&Live, &event(EventKind::Fork, u32::MAX, own.pid));
        let told = cgroups.0.get(&cgroup).map(|known| match known {
            KnownCgroup::Sure(container) | KnownCgroup::Claimed(container) => container.clone(),
            KnownCgroup::Shared => panic!("one process contradicts itself"),
        });
        assert_eq!(told, own.cgroup_id.map(|_| own.container));
    }
}
