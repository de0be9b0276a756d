//! A kubeconfig for each component and one for people and tests.

use std::{fs, os::unix::fs::chown};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::layout::{API_URL, Cluster, Node};
use crate::ui::Step;

/// Name of the context and of the cluster in it.
const CONTEXT: &str = "go-observer";

/// Writes them. The components' name their certificates' files.
pub(super) fn write(cluster: &Cluster<'_>, step: &Step) -> Result<()> {
    let components = [
        "controller-manager",
        "scheduler",
        "kube-proxy",
        "metrics-server",
        "kube-state-metrics",
    ];
    let nodes = Node::ALL.map(Node::name);
    for name in components.iter().chain(&nodes).chain(&["admin"]) {
        let text = text(cluster, name).to_string();
        cluster.write(&format!("kubeconfigs/{name}"), &text)?;
    }
    embed(cluster, step)
}

/// The administrator's holds its certificates, so that the file is enough,
/// and belongs to who called sudo.
fn embed(cluster: &Cluster<'_>, step: &Step) -> Result<()> {
    let path = cluster.kubeconfig();
    if path.exists() {
        return Ok(());
    }
    let mut command = cluster.workspace.command(cluster.binary("kubectl"));
    command
        .args(["config", "view", "--raw", "--flatten", "--kubeconfig"])
        .arg(cluster.component_kubeconfig("admin"));
    let text = step.output(&mut command)?;
    fs::write(&path, "").with_context(|| format!("cannot write {}", path.display()))?;
    let owner = |name| std::env::var(name).ok()?.parse().ok();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    chown(&path, owner("SUDO_UID"), owner("SUDO_GID"))?;
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn text(cluster: &Cluster<'_>, name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXT,
        "clusters": [{ "name": CONTEXT, "cluster": {
            "server": API_URL,
            "certificate-authority": cluster.certificate("ca"),
        }}],
        "users": [{ "name": name, "user": {
            "client-certificate": cluster.certificate(name),
            "client-key": cluster.key(name),
        }}],
        "contexts": [{ "name": CONTEXT, "context": { "cluster": CONTEXT, "user": name } }],
    })
}
