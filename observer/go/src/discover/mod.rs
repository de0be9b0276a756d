//! Processes that appear and go, and the container each belongs to.
//!
//! [`pids`] and [`process`] tell what runs now; what begins later is told by
//! exec events, and each is a reason to look again: while a container is made,
//! its first process is still the runtime's own program (`runc init`, a shim)
//! in the container's cgroup, and becomes the container's program by an exec
//! under the same pid. So a look never settles what a process is for good;
//! [`executable`] is the cheap one to repeat.
//!
//! Nothing here stops at a process that cannot be read: each [`DiscoverError`]
//! concerns one process and says why.

mod cgroup;
mod clock;
mod confinement;
mod container;
mod error;
mod executable;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz_invariants;
mod hierarchy;
mod kin;
mod label;
mod libraries;
mod namespace;
mod proc_dir;
mod process;
mod program_run;
mod scan;
#[cfg(test)]
mod tests;
mod traced;
#[cfg(any(test, feature = "fixtures"))]
pub mod tracee;
mod witness;

pub use self::{
    clock::{age, started},
    confinement::{Refusal, confined, refusal},
    container::{Container, Origin, Runtime},
    error::DiscoverError,
    executable::{Executable, FileId, executable, open_known, pin_executable, runs},
    kin::{Kin, RUNC, all_in, enters_container, is_from_outside, kin, share_pid_namespace},
    libraries::{MappedFile, base_name, mapped_files, mapped_pages},
    namespace::{NamespaceError, PidNamespace, pid_namespace},
    process::{
        Membership, Process, alive, cgroup_key, exists, has_only_forked, membership, process, user,
    },
    program_run::ProgramRun,
    scan::pids,
    traced::{Traced, traced},
    witness::{Witness, witness, witnesses},
};
