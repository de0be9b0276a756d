//! What the engine asks of the processes that run here: by /proc, and by their memory.
//!
//! [`Live`] asks those of this machine. The tests ask a model of some, which may run
//! another program between two questions.

use std::{os::fd::OwnedFd, sync::Arc};

use observer_go::{
    binary::Binary,
    discover::{
        self, DiscoverError, Executable, FileId, Kin, Membership, Process, Traced, Witness,
    },
    release::StateGap,
    runtime::{self, RuntimeReader, StateError, StateFigures, WalkError},
};

use super::{breakpoint, lineage::Kinship};

/// The processes. Each method is described at the function of [`discover`] that has its
/// name. Threads that read memory share it with the engine.
pub(super) trait System: Kinship + Send + Sync + 'static {
    fn pids(&self) -> Result<Vec<u32>, DiscoverError>;
    fn exists(&self, pid: u32) -> bool;
    fn executable(&self, pid: u32) -> Result<Executable, DiscoverError>;
    fn pin_executable(&self, pid: u32) -> Result<OwnedFd, DiscoverError>;
    fn process(&self, pid: u32) -> Result<Process, DiscoverError>;
    fn membership(&self, pid: u32) -> Result<Membership, DiscoverError>;
    fn has_only_forked(&self, pid: u32) -> bool;
    fn cgroup_key(&self, pid: u32) -> u64;
    fn user(&self, pid: u32) -> Option<u32>;
    fn mapped_pages(&self, pid: u32) -> Option<u64>;
    fn traced(
        &self,
        wanted: &dyn Fn(FileId) -> bool,
    ) -> Result<Vec<(FileId, Traced)>, DiscoverError>;
    fn witness(&self, pid: u32, cgroup: u64) -> Option<Witness>;
    /// One after the other, as they are asked for.
    fn witnesses(&self, cgroup: u64) -> Box<dyn Iterator<Item = Witness>>;

    /// Whether a breakpoint stands at an offset of file `id` in the memory of `pid`,
    /// which was found to run it.
    fn has_breakpoint(&self, pid: u32, id: FileId, offset: u64) -> bool;
    /// What reads the runtime's state of `pid`, which runs `binary`.
    fn reader(&self, pid: u32, binary: &Binary) -> Result<Box<dyn StateReader>, WalkError>;
}

/// Reads the runtime's state of one process again and again. Each method is described
/// at the method of [`RuntimeReader`] that has its name.
pub(super) trait StateReader: Send {
    fn gaps(&self) -> &[StateGap];
    fn stands_still(&mut self) -> bool;
    fn sample(&mut self) -> Result<Arc<StateFigures>, StateError>;
}

impl StateReader for RuntimeReader {
    fn gaps(&self) -> &[StateGap] {
        RuntimeReader::gaps(self)
    }

    fn stands_still(&mut self) -> bool {
        RuntimeReader::stands_still(self)
    }

    fn sample(&mut self) -> Result<Arc<StateFigures>, StateError> {
        RuntimeReader::sample(self)
    }
}

/// This machine's processes.
pub(super) struct Live;

impl Kinship for Live {
    fn kin(&self, pid: u32) -> Option<Kin> {
        discover::kin(pid).ok()
    }

    fn all_in(&self, container: &str) -> Vec<Kin> {
        discover::all_in(container)
    }

    fn is_from_outside(&self, pid: u32, parent: u32) -> bool {
        discover::is_from_outside(pid, parent)
    }

    fn share_pid_namespace(&self, one: u32, other: u32) -> bool {
        discover::share_pid_namespace(one, other)
    }

    fn lives(&self, pid: u32, start_ticks: u64) -> bool {
        discover::alive(pid, start_ticks)
    }
}

impl System for Live {
    fn pids(&self) -> Result<Vec<u32>, DiscoverError> {
        discover::pids()
    }

    fn exists(&self, pid: u32) -> bool {
        discover::exists(pid)
    }

    fn executable(&self, pid: u32) -> Result<Executable, DiscoverError> {
        discover::executable(pid)
    }

    fn pin_executable(&self, pid: u32) -> Result<OwnedFd, DiscoverError> {
        discover::pin_executable(pid)
    }

    fn process(&self, pid: u32) -> Result<Process, DiscoverError> {
        discover::process(pid)
    }

    fn membership(&self, pid: u32) -> Result<Membership, DiscoverError> {
        discover::membership(pid)
    }

    fn has_only_forked(&self, pid: u32) -> bool {
        discover::has_only_forked(pid)
    }

    fn cgroup_key(&self, pid: u32) -> u64 {
        discover::cgroup_key(pid)
    }

    fn user(&self, pid: u32) -> Option<u32> {
        discover::user(pid)
    }

    fn mapped_pages(&self, pid: u32) -> Option<u64> {
        discover::mapped_pages(pid)
    }

    fn traced(
        &self,
        wanted: &dyn Fn(FileId) -> bool,
    ) -> Result<Vec<(FileId, Traced)>, DiscoverError> {
        discover::traced(wanted)
    }

    fn witness(&self, pid: u32, cgroup: u64) -> Option<Witness> {
        discover::witness(pid, cgroup)
    }

    fn witnesses(&self, cgroup: u64) -> Box<dyn Iterator<Item = Witness>> {
        Box::new(discover::witnesses(cgroup))
    }

    fn has_breakpoint(&self, pid: u32, id: FileId, offset: u64) -> bool {
        breakpoint::stands(pid, id, offset)
    }

    fn reader(&self, pid: u32, binary: &Binary) -> Result<Box<dyn StateReader>, WalkError> {
        Ok(Box::new(runtime::reader_of(pid, binary)?))
    }
}
