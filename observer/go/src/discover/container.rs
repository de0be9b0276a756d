//! The container that a process is in.

use serde::Serialize;

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

/// How a process came into its container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The container's main process, or one that it begot.
    Service,
    /// Begun from outside in a container that ran already: a probe, a hook or
    /// `kubectl exec`, and what those begot.
    Injected,
    /// A program of the runtime's own, that lies outside the container's file
    /// system and is in its cgroup all the same, such as a sandbox.
    Runtime,
}
