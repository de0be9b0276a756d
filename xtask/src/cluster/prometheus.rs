//! Prometheus on the machine, as if it ran in a pod of the cluster: it gets a
//! service account's token where a pod has it, so that a configuration for
//! inside a cluster works as it is.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

use super::{
    build,
    component::{Component, flags},
    kube_state_metrics,
    layout::{API_PORT, CONTROL_PLANE, Cluster, Node, PROMETHEUS_PORT},
    probe,
};
use crate::ui::Step;

/// Where a pod finds its service account; in a mount namespace of its own.
const ENTER: &str = "mount -t tmpfs none /run && mkdir -p /run/secrets/kubernetes.io && \
    ln -s \"$0\" /run/secrets/kubernetes.io/serviceaccount && exec \"$@\"";
/// Long enough for any cluster on one machine.
const TOKEN_HOURS: u32 = 24 * 365;
const NAMESPACE: &str = "monitoring";
const FILE: &str = "prometheus.yaml";
const ACCOUNT: &str = "prometheus";

/// Serves where the project has no configuration of its own: pods that say
/// that they want to be scraped.
const MINIMAL: &str = r#"global:
  scrape_interval: 1s
scrape_configs:
  - job_name: pods
    kubernetes_sd_configs:
      - role: pod
    relabel_configs:
      - source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape]
        action: keep
        regex: "true"
      - source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scheme]
        action: replace
        regex: (https?)
        target_label: __scheme__
      - source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_path]
        action: replace
        regex: (.+)
        target_label: __metrics_path__
      - source_labels: [__address__, __meta_kubernetes_pod_annotation_prometheus_io_port]
        action: replace
        regex: ([^:]+)(?::\d+)?;(\d+)
        replacement: $1:$2
        target_label: __address__
      - source_labels: [__meta_kubernetes_pod_node_name]
        target_label: node
"#;

/// Who Prometheus is for the API server.
pub(super) const ROLES: &str = r#"
apiVersion: v1
kind: Namespace
metadata: { name: monitoring }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: prometheus, namespace: monitoring }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: prometheus }
rules:
  - apiGroups: [""]
    resources: [nodes, nodes/metrics, services, endpoints, pods]
    verbs: [get, list, watch]
  - apiGroups: [discovery.k8s.io]
    resources: [endpointslices]
    verbs: [get, list, watch]
  - nonResourceURLs: [/metrics]
    verbs: [get]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: prometheus }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: prometheus }
subjects: [{ kind: ServiceAccount, name: prometheus, namespace: monitoring }]
---
"#;

pub(super) fn component(cluster: &Cluster<'_>) -> Component {
    let mut command = cluster.workspace.command("unshare");
    command
        .args(["--mount", "--propagation", "private", "--"])
        .args([
            "sh",
            "-c",
            ENTER,
            &cluster.text("prometheus/serviceaccount"),
        ])
        .arg(build::prometheus_binary(cluster.workspace))
        .args(flags([
            (
                "config.file",
                configuration(cluster).to_string_lossy().into_owned(),
            ),
            ("storage.tsdb.path", cluster.text("prometheus/data")),
            ("web.listen-address", format!("127.0.0.1:{PROMETHEUS_PORT}")),
            ("log.level", "info".to_owned()),
        ]))
        .arg("--web.enable-lifecycle")
        .env("KUBERNETES_SERVICE_HOST", CONTROL_PLANE)
        .env("KUBERNETES_SERVICE_PORT", API_PORT.to_string());
    let health = probe::plain(cluster, Node::A, &format!("{}/-/ready", url()));
    Component::new("prometheus", command, health)
}

pub(super) fn url() -> String {
    format!("http://127.0.0.1:{PROMETHEUS_PORT}")
}

/// The project's own if there is one, and nothing is added to it.
fn configuration(cluster: &Cluster<'_>) -> PathBuf {
    let own = own(cluster).join(FILE);
    if own.exists() && !cluster.settings.kube_state_metrics {
        own
    } else {
        cluster.path("prometheus").join(FILE)
    }
}

fn own(cluster: &Cluster<'_>) -> PathBuf {
    cluster.workspace.root.join("deploy/prometheus")
}

/// Writes the configuration, in case it is not the project's as it is. That
/// ends with the list of jobs; its rules are found beside it.
fn write_configuration(cluster: &Cluster<'_>) -> Result<()> {
    let mut text = MINIMAL.to_owned();
    let own = own(cluster);
    if own.join(FILE).exists() {
        for file in fs::read_dir(&own).with_context(|| format!("cannot read {}", own.display()))? {
            let file = file?;
            if file.path().extension().is_some_and(|end| end == "yaml") {
                let rules = fs::read_to_string(file.path())?;
                let name = file.file_name();
                cluster.write(&format!("prometheus/{}", name.to_string_lossy()), &rules)?;
            }
        }
        text = fs::read_to_string(own.join(FILE))?;
    }
    if cluster.settings.kube_state_metrics {
        text.push_str(&kube_state_metrics::scrape());
    }
    cluster.write(&format!("prometheus/{FILE}"), &text)
}

/// Writes its service account's files; the API server must be there.
pub(super) fn configure(cluster: &Cluster<'_>, step: &Step) -> Result<()> {
    write_configuration(cluster)?;
    let token = "prometheus/serviceaccount/token";
    if cluster.path(token).exists() {
        return Ok(());
    }
    let mut command = cluster.kubectl();
    command
        .args(["create", "token", ACCOUNT, "--namespace", NAMESPACE])
        .arg(format!("--duration={TOKEN_HOURS}h"));
    let text = step.output(&mut command)?;
    cluster.write("prometheus/serviceaccount/namespace", NAMESPACE)?;
    let authority = cluster.path("prometheus/serviceaccount/ca.crt");
    fs::copy(cluster.certificate("ca"), &authority)
        .with_context(|| format!("cannot write {}", authority.display()))?;
    cluster.write(token, text.trim())
}
