//! Keeping off the processes that are not to be observed.

use std::{collections::HashSet, sync::Arc};

use observer_go::{
    binary::Binary,
    discover::{Executable, FileId},
};

use super::state::Engine;
use crate::node::{
    excluded_processes::place,
    exclusion::{Admission, OptOut},
};

impl Engine {
    /// Whether a process that runs this may be observed. One that may not, or of
    /// which that is not known yet, is held: listed, and not touched.
    pub(super) fn admits(
        &mut self,
        pid: u32,
        executable: &Executable,
        exec: Option<u64>,
        binary: &Arc<Binary>,
    ) -> bool {
        match self.exclusion.verdict(&*self.system, pid, executable) {
            Ok(Admission::Observe) => true,
            Ok(verdict) => {
                self.hold(pid, executable.id, exec, binary, verdict);
                false
            }
            Err(error) => {
                self.left(pid, exec, &error);
                false
            }
        }
    }

    fn hold(
        &mut self,
        pid: u32,
        id: FileId,
        exec: Option<u64>,
        binary: &Arc<Binary>,
        verdict: Admission,
    ) {
        // Also where the process is gone: another will run the file.
        if matches!(verdict, Admission::Excluded(_)) {
            self.strip(id);
        }
        match self.process(pid) {
            // It has run something else meanwhile: that exec's event is on its way.
            Ok(process) if process.executable.id != id => {}
            Ok(process) => {
                tracing::debug!(pid, ?verdict, "process left alone");
                self.left_alone
                    .insert(process, Arc::clone(binary), exec, verdict);
            }
            Err(error) => self.left(pid, exec, &error),
        }
    }

    /// Takes the probes off a file that an excluded process runs: they stand on
    /// the file, so they would be in that process too.
    pub(super) fn strip(&mut self, id: FileId) {
        for target in self.targets.exclude(id) {
            // Where a debugger is on one of its processes, the next sweep asks again.
            if self.is_traced(target) {
                continue;
            }
            let freed = self.targets.strip(target, self.probes.as_deref_mut());
            self.disown(target, freed);
            self.cover(target, true);
        }
    }

    /// Somebody's wish may be another than it was.
    pub(super) fn heed(&mut self) {
        let wishes = self.exclusion.wishes.as_deref();
        if !wishes.is_some_and(OptOut::take_changed) {
            return;
        }
        let mut no_more = Vec::new();
        for tracked in self.processes.iter_mut() {
            let process = &tracked.observation.process;
            let verdict = self
                .exclusion
                .verdict_there(&process.executable, &place(process));
            // What is not known any more, was known.
            if matches!(verdict, Admission::Excluded(_)) {
                no_more.push((process.pid, process.executable.id));
            }
        }
        for (pid, file) in no_more {
            // First, as long as all is known of it.
            self.strip(file);
            self.drop_figures(pid);
            self.look(pid, None);
        }
        let mut otherwise = Vec::new();
        for alone in self.left_alone.iter() {
            let process = &alone.observation.process;
            let verdict = self
                .exclusion
                .verdict_there(&process.executable, &alone.place());
            if !alone.is_held_for(&verdict) {
                otherwise.push((process.pid, verdict));
            }
        }
        for (pid, verdict) in otherwise {
            let Some(alone) = self.left_alone.remove(pid) else {
                continue;
            };
            if alone.is_excluded() && !matches!(verdict, Admission::Excluded(_)) {
                self.readmit(alone.observation.process.executable.id);
            }
            self.look(pid, alone.exec);
        }
    }

    /// Looks after those that are held, and after files that nobody excluded
    /// runs any more.
    pub(super) fn keep_held(&mut self) {
        let system = &*self.system;
        self.left_alone
            .retain(|process| system.lives(process.pid, process.start_ticks));
        let held: Vec<u32> = self
            .left_alone
            .iter()
            .map(|it| it.observation.process.pid)
            .collect();
        for pid in held {
            self.changed_alone(pid);
        }
        let excluded = self.left_alone.iter().filter(|alone| alone.is_excluded());
        let files = excluded.map(|alone| alone.observation.process.executable.id);
        // The debugger that held probes back may outlive the process they were to leave.
        let held_back = self.targets.excluded_with_probes();
        for id in HashSet::<FileId>::from_iter(files.chain(held_back)) {
            self.strip(id);
        }
        for id in self.targets.excluded_no_more() {
            self.readmit(id);
        }
    }

    /// A held process may run another program by now, and no event told of it.
    fn changed_alone(&mut self, pid: u32) {
        let known = self
            .left_alone
            .get(pid)
            .map(|it| it.observation.process.executable.id);
        let Ok(now) = self.system.executable(pid) else {
            return;
        };
        if known.is_some_and(|known| known != now.id) {
            self.left_alone.remove(pid);
            self.look(pid, None);
        }
    }

    /// Lets a file carry probes again, if nobody excluded runs it.
    fn readmit(&mut self, id: FileId) {
        let excluded = self.left_alone.iter().filter(|alone| alone.is_excluded());
        let files = excluded.map(|alone| alone.observation.process.executable.id);
        for target in self.targets.readmit(id, files) {
            let run_it = self.processes.iter_mut().filter(|it| it.target == target);
            let pids: Vec<u32> = run_it.map(|it| it.observation.process.pid).collect();
            for pid in &pids {
                self.drop_figures(*pid);
            }
            self.targets.forget(target, self.probes.as_deref_mut());
            for pid in pids {
                self.look(pid, None);
            }
        }
    }

    /// Observes a process no longer. It runs on, so nothing of it has ended.
    fn drop_figures(&mut self, pid: u32) {
        let Some(tracked) = self.processes.remove(pid) else {
            return;
        };
        if let (Some(probes), Some(key)) = (&mut self.probes, tracked.key) {
            probes.take(key);
            probes.unregister(pid);
        }
        self.targets.release(tracked.target);
    }
}

#[cfg(test)]
mod tests;
