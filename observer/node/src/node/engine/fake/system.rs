//! The processes as the engine sees them: [`System`] over the model.

use std::{os::fd::OwnedFd, sync::Arc};

use observer_go::{
    binary::Binary,
    discover::{DiscoverError, Executable, FileId, Kin, Membership, Process, Traced, Witness},
    release::StateGap,
    runtime::{MemoryError, StateError, StateFigures, WalkError},
};

use super::world::{Call, Running, World};
use crate::node::{
    lineage::Kinship,
    system::{StateReader, System},
};

/// The model's processes, none of which is in a container.
pub(super) struct FakeSystem(pub(super) World);

impl FakeSystem {
    /// A process, after what happens before that is asked.
    fn running(&self, call: Option<Call>, pid: u32) -> Result<Running, DiscoverError> {
        let mut state = self.0.state();
        if let Some(call) = call {
            state.before(call, pid);
        }
        let running = state.processes.get(&pid);
        running.cloned().ok_or(DiscoverError::Gone(pid))
    }
}

impl Kinship for FakeSystem {
    fn kin(&self, _: u32) -> Option<Kin> {
        None
    }

    fn all_in(&self, _: &str) -> Vec<Kin> {
        Vec::new()
    }

    fn is_from_outside(&self, _: u32, _: u32) -> bool {
        false
    }

    fn share_pid_namespace(&self, _: u32, _: u32) -> bool {
        true
    }

    fn lives(&self, pid: u32, start_ticks: u64) -> bool {
        let running = self.running(None, pid);
        running.is_ok_and(|it| it.start_ticks == start_ticks)
    }
}

impl System for FakeSystem {
    fn pids(&self) -> Result<Vec<u32>, DiscoverError> {
        Ok(self.0.state().processes.keys().copied().collect())
    }

    fn exists(&self, pid: u32) -> bool {
        self.running(None, pid).is_ok()
    }

    fn executable(&self, pid: u32) -> Result<Executable, DiscoverError> {
        Ok(self.running(None, pid)?.program.executable())
    }

    fn pin_executable(&self, pid: u32) -> Result<OwnedFd, DiscoverError> {
        Ok(self.running(Some(Call::Pin), pid)?.program.pinned())
    }

    fn process(&self, pid: u32) -> Result<Process, DiscoverError> {
        let running = self.running(Some(Call::Process), pid)?;
        Ok(Process {
            pid,
            inner_pid: pid,
            start_ticks: running.start_ticks,
            executable: running.program.executable(),
            comm: String::new(),
            container: None,
            pod_uid: None,
            origin: None,
            cgroup_id: None,
            forked: running.forked,
        })
    }

    fn membership(&self, pid: u32) -> Result<Membership, DiscoverError> {
        self.running(None, pid).map(|_| Membership::default())
    }

    fn has_only_forked(&self, pid: u32) -> bool {
        self.running(None, pid).is_ok_and(|it| it.forked)
    }

    fn cgroup_key(&self, _: u32) -> u64 {
        0
    }

    fn user(&self, _: u32) -> Option<u32> {
        None
    }

    fn mapped_pages(&self, _: u32) -> Option<u64> {
        None
    }

    fn traced(&self, _: &dyn Fn(FileId) -> bool) -> Result<Vec<(FileId, Traced)>, DiscoverError> {
        Ok(Vec::new())
    }

    fn witness(&self, _: u32, _: u64) -> Option<Witness> {
        None
    }

    fn witnesses(&self, _: u64) -> Box<dyn Iterator<Item = Witness>> {
        Box::new(std::iter::empty())
    }

    fn has_breakpoint(&self, pid: u32, id: FileId, _: u64) -> bool {
        let is_it = |it: Running| it.program.id == id;
        self.running(None, pid).is_ok_and(is_it) && self.0.state().links.stand_on(id)
    }

    fn reader(&self, pid: u32, _: &Binary) -> Result<Box<dyn StateReader>, WalkError> {
        let gone = |_| StateError::Memory(MemoryError::Gone { pid });
        let running = self.running(None, pid).map_err(gone)?;
        Ok(Box::new(FakeReader {
            world: self.0.clone(),
            pid,
            of: (running.start_ticks, running.life),
        }))
    }
}

/// Reads a process's memory, which tells the truth.
struct FakeReader {
    world: World,
    pid: u32,
    /// The process, and which of its programs.
    of: (u64, u64),
}

impl StateReader for FakeReader {
    fn gaps(&self) -> &[StateGap] {
        &[]
    }

    fn stands_still(&mut self) -> bool {
        false
    }

    fn sample(&mut self) -> Result<Arc<StateFigures>, StateError> {
        let pid = self.pid;
        let running = {
            let mut state = self.world.state();
            state.before(Call::Sample, pid);
            state.processes.get(&pid).cloned()
        };
        let Some(running) = running else {
            return Err(StateError::Memory(MemoryError::Gone { pid }));
        };
        if (running.start_ticks, running.life) != self.of {
            return Err(StateError::Replaced(pid));
        }
        if running.kills_its_reader {
            // Without a message: the test wants it.
            std::panic::resume_unwind(Box::new("a bug"));
        }
        let mut figures = StateFigures::default();
        figures.goroutines.created = Some(running.created);
        figures.goroutines.exited = Some(running.exited);
        figures.goroutines.live = running.created.saturating_sub(running.exited);
        Ok(Arc::new(figures))
    }
}
