//! Finding Go in programs that are not Go.

use std::time::Instant;

use observer_go::discover::{Executable, FileId};

use super::state::Engine;
use crate::node::{
    excluded_processes::place,
    exclusion::Admission,
    inspector::{Found, Search},
};

impl Engine {
    /// Has those programs searched whose turn it is, and looks after those that are
    /// listed.
    pub(super) fn keep_hosts(&mut self) {
        self.drop_hosts();
        // What is observed comes first.
        if self.schedule.first {
            return;
        }
        let now = Instant::now();
        for (pid, executable) in self.hosts.due(now) {
            if self.may_be_searched(pid, executable) {
                self.begin_search(pid, executable, now);
            }
        }
    }

    /// Whether a process still runs its program, and nobody has anything against a
    /// look. One that is not to be observed is not looked at for this either.
    fn may_be_searched(&mut self, pid: u32, known: FileId) -> bool {
        // Who cannot be looked at any more has ended; if not, the next look at all
        // that runs tells of it again.
        let Ok(executable) = self.system.executable(pid) else {
            self.hosts.forget(pid);
            return false;
        };
        if executable.id != known {
            self.hosts.forget(pid);
            self.look(pid, None);
            return false;
        }
        matches!(
            self.exclusion.verdict(&*self.system, pid, &executable),
            Ok(Admission::Observe)
        )
    }

    fn begin_search(&mut self, pid: u32, executable: FileId, now: Instant) {
        let pages = self.system.mapped_pages(pid);
        let Some(number) = self.hosts.begin(pid, pages, now) else {
            return;
        };
        let search = Search {
            pid,
            number,
            executable,
            cgroup: self.system.cgroup_key(pid),
        };
        if !self.inspector.search(search) {
            self.hosts.put_off(pid);
        }
    }

    /// A program has been searched.
    pub(super) fn searched(&mut self, found: Found) {
        let (pid, ran) = (found.pid, (found.start_ticks, found.executable));
        let Some(libraries) = self.hosts.found(found, Instant::now()) else {
            return;
        };
        // One that has ended since is nothing.
        let Ok(process) = self.process(pid) else {
            self.hosts.forget(pid);
            return;
        };
        // Another process, or another program in it: that exec's event is on its way.
        if (process.start_ticks, process.executable.id) != ran {
            self.hosts.forget(pid);
            return;
        }
        let program = process.executable.path.display();
        tracing::debug!(pid, %program, "Go libraries in a program that is not Go");
        self.hosts.list(process, &libraries);
    }

    /// Lists those no more that have ended, run another program or may not be observed.
    fn drop_hosts(&mut self) {
        let mut gone = Vec::new();
        for host in self.hosts.listed() {
            let process = &host.process;
            let is_same = |now: Executable| now.id == process.executable.id;
            let runs = self.system.lives(process.pid, process.start_ticks)
                && self.system.executable(process.pid).is_ok_and(is_same);
            // What is not known any more, was known.
            let excluded = || {
                let verdict = (self.exclusion).verdict_there(&process.executable, &place(process));
                matches!(verdict, Admission::Excluded(_))
            };
            if !runs || excluded() {
                gone.push(process.pid);
            }
        }
        for pid in gone {
            self.hosts.forget(pid);
        }
    }
}
