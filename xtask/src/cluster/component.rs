//! The components in the order they start.

use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Result, bail};

use super::{
    container, containerd, control_plane, kube_state_metrics, kubelet,
    layout::{Cluster, Node},
    metrics_server, process, prometheus, proxy,
};

/// How much of a log an error carries.
const TAIL: usize = 20;

/// A process of the cluster.
#[derive(Debug)]
pub(super) struct Component {
    pub(super) name: String,
    pub(super) command: Command,
    /// Succeeds when the component does its work.
    pub(super) health: Command,
    /// How long it may take to end.
    pub(super) patience: Duration,
    /// The node in whose container it runs.
    pub(super) container: Option<Node>,
}

impl Component {
    pub(super) fn new(name: impl Into<String>, command: Command, health: Command) -> Self {
        Self {
            name: name.into(),
            command,
            health,
            patience: Duration::from_secs(10),
            container: None,
        }
    }

    /// One of a node's own.
    pub(super) fn of(node: Node, kind: &str, command: Command, health: Command) -> Self {
        Self {
            container: node.is_container().then_some(node),
            ..Self::new(format!("{kind}-{}", node.name()), command, health)
        }
    }

    /// Nothing, or why it is not healthy.
    pub(super) fn check(&mut self) -> Result<(), String> {
        let output = self
            .health
            .stdin(Stdio::null())
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = said.lines().map(str::trim).rfind(|line| !line.is_empty());
        Err(line.unwrap_or("no answer").to_owned())
    }
}

/// A `--flag=value` for each pair.
pub(super) fn flags<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> Vec<String> {
    pairs
        .into_iter()
        .map(|(name, value)| format!("--{name}={value}"))
        .collect()
}

/// All components of this cluster: an earlier one never needs a later one.
pub(super) fn all(cluster: &Cluster<'_>) -> Vec<Component> {
    let mut all = container::components(cluster);
    all.extend([
        control_plane::etcd(cluster),
        control_plane::api_server(cluster),
    ]);
    all.extend(Node::ALL.map(|node| containerd::component(cluster, node)));
    all.push(control_plane::controller_manager(cluster));
    all.push(control_plane::scheduler(cluster));
    all.extend(Node::ALL.map(|node| proxy::component(cluster, node)));
    all.extend(Node::ALL.map(|node| kubelet::component(cluster, node)));
    all.push(prometheus::component(cluster));
    if cluster.settings.metrics_server {
        all.push(metrics_server::component(cluster));
    }
    if cluster.settings.kube_state_metrics {
        all.push(kube_state_metrics::component(cluster));
    }
    all
}

/// The component of this name.
pub(super) fn find(cluster: &Cluster<'_>, name: &str) -> Result<Component> {
    let all = all(cluster);
    let names: Vec<_> = all.iter().map(|one| one.name.clone()).collect();
    match all.into_iter().find(|component| component.name == name) {
        Some(component) => Ok(component),
        None => bail!("no component {name}: expected one of {}", names.join(", ")),
    }
}

/// The end of a component's log, to stand in an error.
pub(super) fn log_tail(cluster: &Cluster<'_>, name: &str) -> String {
    let path = cluster.log(name);
    let bytes = fs::read(&path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    let tail = &lines[lines.len().saturating_sub(TAIL)..];
    format!(
        "the end of {}:\n    {}",
        path.display(),
        tail.join("\n    ")
    )
}

/// True if any component runs.
pub(super) fn any_runs(cluster: &Cluster<'_>) -> bool {
    all(cluster)
        .iter()
        .any(|component| process::find(cluster, &component.name).is_some())
}
