//! kube-state-metrics: a process of the machine, scraped by Prometheus.

use super::{
    build,
    component::{Component, flags},
    layout::{Cluster, Node},
    probe,
};

const HOST: &str = "127.0.0.1";
const PORT: u16 = 18080;
const OWN_PORT: u16 = 18081;
/// What rules and boards ask of.
const RESOURCES: &str = "deployments,horizontalpodautoscalers,pods,replicasets";

/// It may see what it tells of.
pub(super) const ROLES: &str = r"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: kube-state-metrics }
rules:
  - { apiGroups: [''], resources: [pods], verbs: [list, watch] }
  - { apiGroups: [apps], resources: [deployments, replicasets], verbs: [list, watch] }
  - { apiGroups: [autoscaling], resources: [horizontalpodautoscalers], verbs: [list, watch] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: kube-state-metrics }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: kube-state-metrics }
subjects: [{ kind: User, name: kube-state-metrics }]
---
";

pub(super) fn component(cluster: &Cluster<'_>) -> Component {
    let mut command = cluster
        .workspace
        .command(build::kube_state_metrics_binary(cluster.workspace));
    command.args(flags([
        (
            "kubeconfig",
            cluster.component_kubeconfig("kube-state-metrics"),
        ),
        ("resources", RESOURCES.to_owned()),
        ("host", HOST.to_owned()),
        ("port", PORT.to_string()),
        ("telemetry-host", HOST.to_owned()),
        ("telemetry-port", OWN_PORT.to_string()),
    ]));
    let health = probe::plain(cluster, Node::A, &format!("http://{HOST}:{PORT}/healthz"));
    Component::new("kube-state-metrics", command, health)
}

/// Its job, as the last of Prometheus' `scrape_configs`: `namespace` and `pod`
/// are those of the object. Autoscalers of tests come and go within a minute.
pub(super) fn scrape() -> String {
    format!(
        "  - job_name: kube-state-metrics\n    honor_labels: true\n    scrape_interval: 5s\n    \
         static_configs: [{{ targets: [\"{HOST}:{PORT}\"] }}]\n"
    )
}
