//! The components in the order they start.

use std::fs;

use anyhow::{Result, bail};

use super::{
    component::Component,
    container, containerd, control_plane, kube_state_metrics, kubelet,
    layout::{Cluster, Node},
    metrics_server, process, prometheus, proxy,
};

/// How much of a log an error carries.
const TAIL: usize = 20;

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

/// True if any component runs.
pub(super) fn any_runs(cluster: &Cluster<'_>) -> bool {
    all(cluster)
        .iter()
        .any(|component| process::find(cluster, &component.name).is_some())
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
