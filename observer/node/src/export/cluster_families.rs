//! Families of the cluster; without Kubernetes none has a sample.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    family::{Family, Kind, node},
    label::label,
    node::NodeFigures,
    sink::{Sink, Value},
};
use crate::node::{Attribution, Cluster, Pod};

/// What is told of the pods of this node and of the watch of them.
pub(super) static FAMILIES: [Family; 5] = [
    node(
        "observer_pod_info",
        Kind::Gauge,
        None,
        "Pods with Go containers, and what controls each: the Deployment where a ReplicaSet does.",
        "metadata of the pod: its controlling owner reference and the label pod-template-hash",
        |node, sink| {
            if let Some(cluster) = cluster(node) {
                pods(node, cluster, sink);
            }
        },
    ),
    node(
        "observer_kube_watch_up",
        Kind::Gauge,
        None,
        "Whether the pods of this node are watched. While they are not, containers known by then keep their labels and new ones have to wait.",
        "the watch of pods with spec.nodeName of this node",
        |node, sink| {
            if let Some(cluster) = cluster(node) {
                sink.count(u64::from(cluster.watch.up));
            }
        },
    ),
    node(
        "observer_kube_watch_errors",
        Kind::Counter,
        None,
        "Failures to list or watch the pods of this node, or namespaces.",
        "the watch of pods with spec.nodeName of this node, and of namespaces",
        |node, sink| {
            if let Some(cluster) = cluster(node) {
                sink.count(cluster.watch.errors + cluster.watch.namespace_errors);
            }
        },
    ),
    node(
        "observer_kube_pods",
        Kind::Gauge,
        None,
        "Pods of this node that the API server told of.",
        "the watch of pods with spec.nodeName of this node",
        |node, sink| {
            if let Some(cluster) = cluster(node) {
                sink.count(cluster.watch.pods);
            }
        },
    ),
    node(
        "observer_unattributed_containers",
        Kind::Gauge,
        None,
        "Containers with living Go processes that belong to no pod known on this node; they have no series until it is known.",
        "container ids in cgroup paths that no pod's status names",
        |node, sink| {
            if let Some(cluster) = cluster(node) {
                sink.count(cluster.unattributed);
            }
        },
    ),
];

fn cluster<'a>(node: &NodeFigures<'a>) -> Option<&'a Cluster> {
    node.snapshot.cluster.as_deref()
}

fn pods(node: &NodeFigures<'_>, cluster: &Cluster, sink: &mut Sink) {
    let shown = node.snapshot.placed().filter_map(|(_, place)| match place {
        Attribution::Container(container) => Some(container),
        _ => None,
    });
    let past = cluster.past.iter().map(|(container, _)| container);
    let pods: BTreeMap<&str, &Arc<Pod>> = shown
        .chain(past)
        .map(|container| (container.pod.uid.as_str(), &container.pod))
        .collect();
    for pod in pods.into_values() {
        let workload = pod.workload.as_ref();
        let labels = [
            ("namespace", pod.namespace.as_str()),
            ("pod", &pod.name),
            ("uid", &pod.uid),
            ("node", &pod.node),
            ("workload_kind", workload.map_or("", |it| &it.kind)),
            ("workload", workload.map_or("", |it| &it.name)),
        ];
        let labels = labels.map(|(name, value)| (name, label(value)));
        sink.0.push((labels.into(), Value::Integer(1)));
    }
}
