//! containerd of a node, apart from any other on the machine.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::{
    component::Component,
    images::PAUSE,
    layout::{Cluster, Node},
};

/// Where distributions put the CNI plugins.
const PLUGINS: [&str; 3] = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];
/// One for each part of a pod's network.
const NEEDED: [&str; 3] = ["ptp", "host-local", "loopback"];

pub(super) fn component(cluster: &Cluster<'_>, node: Node) -> Component {
    let mut command = cluster.on(node, "containerd");
    command.args(["--config", &cluster.node_text(node, "containerd.toml")]);
    let mut health = cluster.ctr(node);
    health.arg("version");
    Component::of(node, "containerd", command, health)
}

/// Writes its configuration and that of the pods' network.
pub(super) fn configure(cluster: &Cluster<'_>, node: Node) -> Result<()> {
    let plugins = PLUGINS
        .into_iter()
        .find(|directory| {
            let directory = Path::new(directory);
            NEEDED.iter().all(|plugin| directory.join(plugin).exists())
        })
        .with_context(|| {
            format!(
                "no CNI plugins {} in any of {}: install containernetworking-plugins",
                NEEDED.join(", "),
                PLUGINS.join(", ")
            )
        })?;
    cluster.write(
        &format!("{}/containerd.toml", node.name()),
        &text(cluster, node, plugins),
    )?;
    cluster.write(
        &format!("{}/cni/10-pods.conflist", node.name()),
        &network(cluster, node),
    )
}

fn text(cluster: &Cluster<'_>, node: Node, plugins: &str) -> String {
    let path = |name| cluster.node_text(node, name);
    // - restrict_oom_score_adj: without CAP_SYS_RESOURCE no sandbox would start
    // - netns_mounts_under_state_dir: nothing of a pod lies outside the folder
    // - the opt plugin would make /opt/containerd
    format!(
        r#"version = 2
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
tolerate_missing_hugetlb_controller = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{cni}"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
Root = "{runc}"
"#,
        root = path("containerd"),
        state = path("containerd-state"),
        socket = cluster.containerd_socket(node),
        cni = path("cni"),
        runc = path("runc"),
    )
}

/// Each pod on a cable of its own and not on a bridge: what goes from pod to
/// pod is then routed, and passes kube-proxy's rules without br_netfilter.
fn network(cluster: &Cluster<'_>, node: Node) -> String {
    json!({
        "cniVersion": "0.4.0",
        "name": network_name(node),
        "plugins": [{
            "type": "ptp",
            "ipMasq": false,
            "mtu": 1500,
            "ipam": {
                "type": "host-local",
                "dataDir": cluster.node_text(node, "addresses"),
                "ranges": [[{ "subnet": node.pod_range() }]],
                "routes": [{ "dst": "0.0.0.0/0" }],
            },
        }],
    })
    .to_string()
}

/// libcni's cache outside the folder names its files by this.
pub(super) fn network_name(node: Node) -> String {
    format!("go-observer-{}", node.name())
}
