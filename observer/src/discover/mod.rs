//! Processes that appear and go, and the container each belongs to.

use std::path::PathBuf;

use serde::Serialize;

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
    /// Its cgroup in the unified hierarchy as the kernel numbers it, where there is one.
    pub cgroup_id: Option<u64>,
}

/// The file a process runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Executable {
    /// Which file.
    pub id: FileId,
    /// Its path as the process sees it, without ` (deleted)`.
    pub path: PathBuf,
    /// Whether the path no longer leads to it.
    pub deleted: bool,
    /// Whether it lives in memory only (`memfd_create`).
    pub memfd: bool,
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
    /// 64 hexadecimal digits.
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
    /// `cri-containerd-…scope`.
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
