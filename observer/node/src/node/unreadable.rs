//! Processes that run and may not be looked at. Whether they are Go programs is
//! not known, so they have no figures and no coverage; they are counted here.

use std::collections::{BTreeMap, HashMap};

use observer_go::{
    binary::Reason,
    discover::{self, DiscoverError, Refusal},
};

/// Those that were refused at the last look at each.
#[derive(Default)]
pub(super) struct Unreadable {
    pids: HashMap<u32, Reason>,
    told: bool,
}

impl Unreadable {
    /// A look at a process failed.
    pub(super) fn failed(&mut self, pid: u32, error: &DiscoverError) {
        if !matches!(error, DiscoverError::Denied { .. }) {
            self.pids.remove(&pid);
            return;
        }
        let reason = match discover::refusal() {
            Refusal::AppArmor(_) => Reason::Apparmor,
            Refusal::Permission => Reason::PermissionDenied,
        };
        self.pids.insert(pid, reason);
    }

    /// A look at a process succeeded.
    pub(super) fn read(&mut self, pid: u32) {
        self.pids.remove(&pid);
    }

    /// All of /proc has been looked at: `pids`, in order. The first time that
    /// some were refused is told.
    pub(super) fn all_looked_at(&mut self, pids: &[u32]) {
        self.pids.retain(|pid, _| pids.binary_search(pid).is_ok());
        if let (false, Some((pid, reason))) = (self.told, self.pids.iter().next()) {
            self.told = true;
            let reason = reason.label();
            let processes = self.pids.len();
            tracing::info!(
                processes,
                reason,
                example = pid,
                "permission denied for some processes; observer_processes_unreadable counts them"
            );
        }
    }

    /// How many, by reason.
    pub(super) fn by_reason(&self) -> BTreeMap<Reason, u64> {
        let mut counts = BTreeMap::new();
        for reason in self.pids.values() {
            *counts.entry(*reason).or_default() += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io, path::PathBuf};

    use observer_go::{binary::Reason, discover::DiscoverError};

    use super::Unreadable;

    #[test]
    fn a_process_counts_until_it_is_read_or_gone() {
        let denied = |pid| DiscoverError::Denied {
            pid,
            path: PathBuf::from("/proc/1/exe"),
            source: io::ErrorKind::PermissionDenied.into(),
        };
        let mut unreadable = Unreadable::default();
        let count = |it: &Unreadable| it.by_reason().values().sum::<u64>();
        for pid in [3, 4, 5, 6] {
            unreadable.failed(pid, &denied(pid));
        }
        // The machine of the tests confines nobody.
        assert_eq!(
            unreadable.by_reason(),
            BTreeMap::from([(Reason::PermissionDenied, 4)])
        );
        unreadable.read(3);
        unreadable.failed(4, &DiscoverError::Gone(4));
        assert_eq!(count(&unreadable), 2);
        unreadable.all_looked_at(&[1, 3, 5]);
        assert_eq!(count(&unreadable), 1);
    }
}
