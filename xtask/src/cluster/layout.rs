//! Names, addresses and paths of the cluster.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use super::settings::Settings;
use crate::workspace::Workspace;

/// Address of the API server; node-a's own.
pub(super) const CONTROL_PLANE: &str = "10.201.0.1";
pub(super) const API_PORT: u16 = 16443;
pub(super) const API_URL: &str = "https://10.201.0.1:16443";
pub(super) const POD_RANGE: &str = "10.202.0.0/16";
pub(super) const SERVICE_RANGE: &str = "10.203.0.0/24";
/// The first address of [`SERVICE_RANGE`]: Service `kubernetes`.
pub(super) const API_SERVICE: &str = "10.203.0.1";
pub(super) const PROMETHEUS_PORT: u16 = 19090;
/// Root of both nodes' cgroups, below the mount of each hierarchy.
pub(super) const CGROUP: &str = "go-observer-cluster";

/// A node of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    /// In the machine's own network namespace, with the control plane.
    A,
    /// In a network and a pid namespace of its own, as a node that is a container.
    B,
}

impl Node {
    pub(super) const ALL: [Self; 2] = [Self::A, Self::B];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::A => "node-a",
            Self::B => "node-b",
        }
    }

    pub(super) const fn address(self) -> &'static str {
        match self {
            Self::A => CONTROL_PLANE,
            Self::B => "10.201.0.2",
        }
    }

    pub(super) const fn pod_range(self) -> &'static str {
        match self {
            Self::A => "10.202.0.0/24",
            Self::B => "10.202.1.0/24",
        }
    }

    /// This node's end of the cable between both.
    pub(super) const fn interface(self) -> &'static str {
        match self {
            Self::A => "observer-a",
            Self::B => "observer-b",
        }
    }

    /// Name of the network namespace, if it has its own.
    pub(super) const fn namespace(self) -> Option<&'static str> {
        match self {
            Self::A => None,
            Self::B => Some("go-observer-b"),
        }
    }

    /// Whether it is a container itself, with process ids of its own.
    pub(super) const fn is_container(self) -> bool {
        matches!(self, Self::B)
    }

    /// The node's cgroup as the kubelet writes it.
    pub(super) fn cgroup(self) -> String {
        format!("/{CGROUP}/{}", self.name())
    }
}

/// Where a network namespace of this name is bound.
pub(super) fn namespace_path(name: &str) -> PathBuf {
    Path::new("/run/netns").join(name)
}

/// The one cluster of this machine and its folder.
#[derive(Debug)]
pub(super) struct Cluster<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) dir: PathBuf,
    pub(super) settings: Settings,
}

impl<'a> Cluster<'a> {
    /// The cluster in this folder, with the settings it was started with.
    pub(super) fn open(workspace: &'a Workspace, dir: Option<&Path>) -> Result<Self> {
        let dir = dir.map_or_else(|| workspace.cache.join("cluster/state"), Path::to_path_buf);
        let dir = std::path::absolute(&dir)
            .with_context(|| format!("cannot make {} an absolute path", dir.display()))?;
        // The names go into configuration files and mount tables.
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        ensure!(
            dir.to_str().is_some_and(|dir| dir.chars().all(plain)) && !dir.starts_with("/run"),
            "{} cannot be the folder of a cluster: expected a path outside /run of letters, \
             digits, `.`, `_` and `-`; choose another with --dir",
            dir.display()
        );
        let settings = Settings::load(&dir.join("settings.json"))?;
        Ok(Self {
            workspace,
            dir,
            settings,
        })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// As [`Self::path`], for a configuration or an argument.
    pub(super) fn text(&self, name: &str) -> String {
        // Checked by `open`.
        self.path(name).to_string_lossy().into_owned()
    }

    pub(super) fn node_text(&self, node: Node, name: &str) -> String {
        self.text(&format!("{}/{name}", node.name()))
    }

    pub(super) fn certificate(&self, name: &str) -> String {
        self.text(&format!("pki/{name}.crt"))
    }

    pub(super) fn key(&self, name: &str) -> String {
        self.text(&format!("pki/{name}.key"))
    }

    /// The administrator's.
    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.path("kubeconfig")
    }

    pub(super) fn component_kubeconfig(&self, name: &str) -> String {
        self.text(&format!("kubeconfigs/{name}"))
    }

    pub(super) fn log(&self, component: &str) -> PathBuf {
        self.path("logs").join(format!("{component}.log"))
    }

    pub(super) fn containerd_socket(&self, node: Node) -> String {
        self.node_text(node, "containerd.sock")
    }

    /// A binary of Kubernetes.
    pub(super) fn binary(&self, name: &str) -> PathBuf {
        super::build::directory(self.workspace).join(name)
    }

    /// A program in a node's network namespace. Only that namespace is
    /// entered, in place: `ip netns exec` would also hide the cgroups.
    pub(super) fn on(&self, node: Node, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let Some(namespace) = node.namespace() else {
            return self.workspace.command(program);
        };
        let mut command = self.workspace.command("nsenter");
        command
            .arg(format!("--net={}", namespace_path(namespace).display()))
            .arg("--")
            .arg(program);
        command
    }

    /// kubectl as the administrator.
    pub(super) fn kubectl(&self) -> Command {
        let mut command = self.workspace.command(self.binary("kubectl"));
        command
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .env("HOME", &self.dir)
            .env_remove("KUBECONFIG");
        command
    }

    /// `ctr` in the namespace of the kubelet's containers.
    pub(super) fn ctr(&self, node: Node) -> Command {
        let mut command = self.workspace.command("ctr");
        command
            .args(["--address", &self.containerd_socket(node)])
            .args(["--connect-timeout", "2s", "--namespace", "k8s.io"]);
        command
    }

    /// Writes a file of the state folder, and its directory. One that says the
    /// same already is left alone: kube-proxy ends when its file is written.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path(name);
        if fs::read_to_string(&path).is_ok_and(|there| there == text) {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot create {}", parent.display()))?;
        }
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}
