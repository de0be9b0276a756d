//! Reads that processes hold up, and whose memory is read all the same.
//!
//! Each such read costs a thread, so their number is bounded. No bound may be one that
//! somebody reaches for all others: where as many are held up as may be, only those are
//! refused who hold up some themselves. Whoever holds up none is read as ever.

use std::collections::HashMap;

use observer_go::runtime::Stuck;

use crate::node::system::System;

/// With so many held up, nobody who holds up one has another tried.
const MOST: usize = 64;
/// Most that one party holds up before.
const MOST_OF_ONE: usize = 16;

/// Who answers for a process: nobody is to be several parties at will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Party {
    /// A pod, with all of its containers, and whatever cgroups they make.
    Pod(String),
    /// A user outside pods, who may make cgroups as well.
    User(u32),
    /// One of root's services; root needs no such means.
    Cgroup(u64),
}

impl Party {
    fn of(system: &dyn System, pid: u32, pod_uid: Option<&str>) -> Self {
        if let Some(pod) = pod_uid {
            return Self::Pod(pod.to_owned());
        }
        match system.user(pid) {
            None | Some(0) => Self::Cgroup(system.cgroup_key(pid)),
            Some(user) => Self::User(user),
        }
    }
}

/// The reads that were given up, by their numbers.
#[derive(Default)]
pub(super) struct BlockedReads(HashMap<u64, (Stuck, Party)>);

impl BlockedReads {
    /// A process holds up this read.
    pub(super) fn add(
        &mut self,
        system: &dyn System,
        number: u64,
        pid: u32,
        pod_uid: Option<&str>,
    ) {
        self.put(number, pid, Party::of(system, pid, pod_uid));
    }

    fn put(&mut self, number: u64, pid: u32, party: Party) {
        self.0.insert(number, (Stuck::on(pid), party));
    }

    /// It has come back.
    pub(super) fn came_back(&mut self, number: u64) {
        self.0.remove(&number);
    }

    /// Whether a process may not be read, since its party holds up too many.
    pub(super) fn refuses(&self, system: &dyn System, pid: u32, pod_uid: Option<&str>) -> bool {
        // Mostly so few that nobody needs to be asked for its user.
        self.0.len() >= MOST_OF_ONE && self.refuses_party(&Party::of(system, pid, pod_uid))
    }

    fn refuses_party(&self, party: &Party) -> bool {
        let most = if self.0.len() < MOST { MOST_OF_ONE } else { 1 };
        self.0.values().filter(|(_, of)| of == party).count() >= most
    }
}

#[cfg(test)]
mod tests {
    use super::{BlockedReads, MOST, MOST_OF_ONE, Party};
    use crate::node::system::Live;

    /// No process has such ids.
    const PID: u32 = u32::MAX - 1000;

    fn pod(number: usize) -> Party {
        Party::Pod(number.to_string())
    }

    #[test]
    fn one_party_is_refused_and_no_other() {
        let mut blocked = BlockedReads::default();
        for read in 0..MOST_OF_ONE {
            assert!(!blocked.refuses_party(&pod(0)));
            blocked.put(read as u64, PID, pod(0));
        }
        assert!(blocked.refuses_party(&pod(0)));
        assert!(!blocked.refuses_party(&pod(1)));
        blocked.came_back(0);
        assert!(!blocked.refuses_party(&pod(0)));
    }

    #[test]
    fn who_holds_up_none_is_read_however_many_others_do() {
        let mut blocked = BlockedReads::default();
        for read in 0..MOST {
            blocked.put(read as u64, PID, pod(read / MOST_OF_ONE));
        }
        for newcomer in [pod(MOST), Party::User(1000), Party::Cgroup(7)] {
            assert!(!blocked.refuses_party(&newcomer), "{newcomer:?}");
        }
        // One that comes then has one try, as do any number of others.
        for late in MOST..3 * MOST {
            assert!(!blocked.refuses_party(&pod(late)));
            blocked.put(late as u64, PID, pod(late));
            assert!(blocked.refuses_party(&pod(late)));
        }
        assert!((0..4).all(|first| blocked.refuses_party(&pod(first))));
    }

    #[test]
    fn a_process_is_its_pods_or_its_users() {
        let own = std::process::id();
        assert_eq!(Party::of(&Live, own, Some("a")), Party::Pod("a".to_owned()));
        let user = rustix::process::geteuid().as_raw();
        match Party::of(&Live, own, None) {
            Party::User(found) => assert_eq!(found, user),
            Party::Cgroup(_) => assert_eq!(user, 0),
            Party::Pod(_) => panic!("it is in no pod"),
        }
    }
}
