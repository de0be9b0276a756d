//! What components leave behind when they end, all of it known by this
//! cluster's own names: shims, mounts, sockets, links, cached results.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use super::{
    containerd,
    layout::{Cluster, Node},
    process::Process,
};
use crate::ui::Step;

/// Everything of the folder but the logs, which are for reading afterwards.
const CONTENTS: [&str; 14] = [
    "bootstrap.yaml",
    "etcd",
    "ip_forward",
    "kubeconfig",
    "kubeconfigs",
    "node-a",
    "node-b",
    "pids",
    "pki",
    "prometheus",
    "settings.json",
    "volume-plugins",
    ".kube",
    ".cache",
];

/// Ends the shims, which outlive their containerd, and removes their sockets.
pub(super) fn shims(cluster: &Cluster<'_>) -> Result<()> {
    let sockets = shim_sockets(cluster);
    for process in running_shims(cluster)? {
        process.kill().context("cannot end a containerd-shim")?;
    }
    for socket in sockets {
        fs::remove_file(socket).ok();
    }
    // Only if nothing else's are there.
    for directory in ["/run/containerd/s", "/run/containerd"] {
        fs::remove_dir(directory).ok();
    }
    Ok(())
}

/// Shims that were started by our containerds.
fn running_shims(cluster: &Cluster<'_>) -> Result<Vec<Process>> {
    let ours = Node::ALL.map(|node| cluster.containerd_socket(node));
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")
        .context("cannot read /proc")?
        .flatten()
    {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split(|byte| *byte == 0).collect();
        let is_shim = words
            .first()
            .is_some_and(|word| String::from_utf8_lossy(word).contains("containerd-shim"));
        let is_ours = words.windows(2).any(|pair| {
            pair[0] == b"-address" && ours.iter().any(|socket| socket.as_bytes() == pair[1])
        });
        if is_shim && is_ours {
            found.extend(Process::of(pid));
        }
    }
    Ok(found)
}

/// Sockets outside the folder, named by each container's bundle.
fn shim_sockets(cluster: &Cluster<'_>) -> Vec<PathBuf> {
    let tasks = "containerd-state/io.containerd.runtime.v2.task/k8s.io";
    Node::ALL
        .into_iter()
        .filter_map(|node| fs::read_dir(cluster.node_text(node, tasks)).ok())
        .flat_map(Iterator::flatten)
        .filter_map(|bundle| fs::read_to_string(bundle.path().join("address")).ok())
        .filter_map(|address| address.trim().strip_prefix("unix://").map(PathBuf::from))
        .collect()
}

/// Unmounts everything below the folder, the last mounted first.
pub(super) fn mounts(cluster: &Cluster<'_>, step: &Step) -> Result<()> {
    let mut below = mounted(cluster)?;
    below.reverse();
    if !below.is_empty() {
        let mut command = cluster.workspace.command("umount");
        step.run(command.arg("--").args(below))?;
    }
    Ok(())
}

fn mounted(cluster: &Cluster<'_>) -> Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read the mounts")?;
    // The folder's name has nothing that this file escapes.
    Ok(mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .map(PathBuf::from)
        .filter(|path| path.starts_with(&cluster.dir))
        .collect())
}

/// Removes what CNI and kubelet keep outside the folder.
pub(super) fn strays(cluster: &Cluster<'_>) {
    let results = Path::new("/var/lib/cni/results");
    let names = names(results);
    let prefixes = Node::ALL.map(|node| format!("{}-", containerd::network_name(node)));
    for (name, prefix) in names
        .iter()
        .flat_map(|name| prefixes.iter().map(move |p| (name, p)))
    {
        let sandbox = name
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_suffix("-eth0"));
        if let Some(sandbox) = sandbox {
            fs::remove_file(results.join(name)).ok();
            fs::remove_file(results.join(format!("cni-loopback-{sandbox}-lo"))).ok();
        }
    }
    let links = Path::new("/var/log/containers");
    for link in self::names(links).iter().map(|name| links.join(name)) {
        if fs::read_link(&link).is_ok_and(|target| target.starts_with(&cluster.dir)) {
            fs::remove_file(link).ok();
        }
    }
    // The kubelet's place for device plugins cannot be chosen.
    let kubelet = Path::new("/var/lib/kubelet");
    if self::names(kubelet) == ["device-plugins"] {
        fs::remove_dir_all(kubelet).ok();
    }
    // Only if nothing else's is there.
    for directory in [results, Path::new("/var/lib/cni"), links] {
        fs::remove_dir(directory).ok();
    }
}

fn names(directory: &Path) -> Vec<String> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// Empties the folder.
pub(super) fn folder(cluster: &Cluster<'_>) -> Result<()> {
    let left = mounted(cluster)?;
    ensure!(
        left.is_empty(),
        "{} is still mounted: what uses it is told by `fuser -vm`",
        left[0].display()
    );
    for name in CONTENTS {
        let path = cluster.path(name);
        let removed = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else if path.exists() {
            fs::remove_file(&path)
        } else {
            continue;
        };
        removed.with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}
