//! The kubelet of a node.

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    component::{Component, flags},
    layout::{Cluster, Node},
    probe,
};

const HEALTH: &str = "http://127.0.0.1:10248/healthz";

pub(super) fn component(cluster: &Cluster<'_>, node: Node) -> Component {
    let mut command = cluster.on(node, cluster.binary("kubelet"));
    command.args(flags([
        ("config", cluster.node_text(node, "kubelet.json")),
        ("kubeconfig", cluster.component_kubeconfig(node.name())),
        ("root-dir", cluster.node_text(node, "kubelet")),
        ("hostname-override", node.name().to_owned()),
        ("node-ip", node.address().to_owned()),
    ]));
    let health = probe::plain(cluster, node, HEALTH);
    Component::of(node, "kubelet", command, health)
}

/// Writes its configuration and the directory of static pods.
pub(super) fn configure(cluster: &Cluster<'_>, node: Node) -> Result<()> {
    std::fs::create_dir_all(manifests(cluster, node))?;
    cluster.write(
        &format!("{}/kubelet.json", node.name()),
        &text(cluster, node).to_string(),
    )
}

/// Directory of the node's static pods.
pub(super) fn manifests(cluster: &Cluster<'_>, node: Node) -> String {
    cluster.node_text(node, "manifests")
}

fn text(cluster: &Cluster<'_>, node: Node) -> Value {
    let server = format!("{}-server", node.name());
    let path = |name| cluster.node_text(node, name);
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address(),
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": cluster.certificate("ca") },
        },
        "authorization": { "mode": "Webhook" },
        "tlsCertFile": cluster.certificate(&server),
        "tlsPrivateKeyFile": cluster.key(&server),
        "containerRuntimeEndpoint": format!("unix://{}", cluster.containerd_socket(node)),
        "cgroupDriver": "cgroupfs",
        // Both nodes' pods are in the machine's hierarchies.
        "cgroupRoot": node.cgroup(),
        "failCgroupV1": false,
        "failSwapOn": false,
        "oomScoreAdj": 0,
        "makeIPTablesUtilChains": false,
        "maxPods": 250,
        "staticPodPath": manifests(cluster, node),
        "podLogsDir": path("pods"),
        "volumePluginDir": path("volume-plugins"),
        // A workstation's disk may be fuller than a server's, and an image
        // that is collected cannot be pulled again.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
    })
}
