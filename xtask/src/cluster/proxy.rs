//! kube-proxy of a node, for the cluster addresses of Services.

use anyhow::Result;
use serde_json::json;

use super::{
    component::{Component, flags},
    layout::{Cluster, Node, POD_RANGE},
    probe,
};

const HEALTH: &str = "http://127.0.0.1:10256/healthz";

pub(super) fn component(cluster: &Cluster<'_>, node: Node) -> Component {
    let mut command = cluster.on(node, cluster.binary("kube-proxy"));
    command.args(flags([(
        "config",
        cluster.node_text(node, "kube-proxy.json"),
    )]));
    let health = probe::plain(cluster, node, HEALTH);
    Component::of(node, "kube-proxy", command, health)
}

/// Writes its configuration. In nftables mode its rules are one table, which
/// goes without a trace; conntrack's limits are the machine's and stay.
pub(super) fn configure(cluster: &Cluster<'_>, node: Node) -> Result<()> {
    let text = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": { "kubeconfig": cluster.component_kubeconfig("kube-proxy") },
        "clusterCIDR": POD_RANGE,
        "detectLocalMode": "ClusterCIDR",
        "hostnameOverride": node.name(),
        "oomScoreAdj": 0,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    });
    cluster.write(
        &format!("{}/kube-proxy.json", node.name()),
        &text.to_string(),
    )
}
