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
mod entry;
mod error;
mod executable;
mod hierarchy;
mod kin;
mod libraries;
mod namespace;
mod process;
mod scan;
#[cfg(any(test, feature = "fuzz"))]
pub mod strangers;
#[cfg(test)]
mod tests;
mod traced;
#[cfg(any(test, feature = "fixtures"))]
pub mod tracee;
mod witness;

use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

pub use self::{
    clock::{age, started},
    confinement::{Refusal, confined, refusal},
    error::DiscoverError,
    executable::{executable, open_known, pin_executable, runs},
    kin::{Kin, Origin, RUNC, all_in, enters_container, is_from_outside, kin, share_pid_namespace},
    libraries::{MappedFile, base_name, mapped_files, mapped_pages},
    namespace::{NamespaceError, PidNamespace, pid_namespace},
    process::{Membership, alive, cgroup_key, exists, has_only_forked, membership, process, user},
    scan::pids,
    traced::{Traced, traced},
    witness::{Witness, witness, witnesses},
};

/// A process as /proc shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Process {
    /// Process id in the observer's pid namespace.
    pub pid: u32,
    /// Its id in its own pid namespace (the last of `NSpid`).
    pub inner_pid: u32,
    /// Start time in clock ticks since boot: with the pid, its identity.
    pub start_ticks: u64,
    /// What it runs.
    pub executable: Executable,
    /// The task's name (`/proc/PID/comm`).
    pub comm: String,
    /// The container it runs in.
    pub container: Option<Container>,
    /// UID of the Kubernetes pod in whose cgroup it is, in a container of it or not.
    pub pod_uid: Option<String>,
    /// How it came into its container, where it is in one.
    pub origin: Option<Origin>,
    /// Its cgroup in the unified hierarchy as the kernel numbers it, where there is one.
    pub cgroup_id: Option<u64>,
    /// Whether it has run no program of its own since it was forked: a child on
    /// its way to an exec. What a container's runtime does in a container before
    /// the container's program (`runc init`) is such a process.
    pub forked: bool,
}

/// The file a process runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Executable {
    /// Which file.
    pub id: FileId,
    /// Its path as the process sees it, without ` (deleted)`.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    /// Whether the path no longer leads to it.
    pub deleted: bool,
    /// Whether it lives in memory only (`memfd_create`).
    pub memfd: bool,
}

/// Paths need not be UTF-8, JSON must: one odd path must not spoil a whole answer.
fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// What tells one version of a file from another. `device` and `inode` alone
/// do not: overlayfs shows one file under many devices, and a rebuilt program
/// may get its predecessor's inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct FileId {
    /// `st_dev`.
    pub device: u64,
    /// `st_ino`.
    pub inode: u64,
    /// `st_size`.
    pub size: u64,
    /// `st_mtim` in nanoseconds.
    pub modified_ns: i128,
    /// `st_ctim` in nanoseconds.
    pub changed_ns: i128,
}

/// The container a process runs in, read from its cgroup path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Container {
    /// 64 hexadecimal digits; any name for a task that `ctr` started.
    pub id: String,
    /// Who made it, where the path tells.
    pub runtime: Runtime,
    /// UID of the Kubernetes pod, with dashes.
    pub pod_uid: Option<String>,
}

/// Container runtimes, as cgroup paths name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runtime {
    /// `cri-containerd-…scope`, `nerdctl-…scope`, `/default/…`.
    Containerd,
    /// `crio-…scope`.
    CriO,
    /// `docker-…scope`, `/docker/…`.
    Docker,
    /// `libpod-…`.
    Podman,
    /// The path has only the id (the cgroupfs driver).
    Unknown,
}
