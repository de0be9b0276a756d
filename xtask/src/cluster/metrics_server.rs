//! metrics-server: a process of the machine, reached through a Service whose
//! endpoint is written by hand.

use anyhow::Result;

use super::{
    build,
    component::{Component, flags},
    layout::{CONTROL_PLANE, Cluster, Node},
    probe,
};
use crate::ui::Step;

const PORT: u16 = 14443;

pub(super) fn component(cluster: &Cluster<'_>) -> Component {
    let mut command = cluster
        .workspace
        .command(build::metrics_server_binary(cluster.workspace));
    let kubeconfig = cluster.component_kubeconfig("metrics-server");
    command.args(flags([
        ("kubeconfig", kubeconfig.clone()),
        ("authentication-kubeconfig", kubeconfig.clone()),
        ("authorization-kubeconfig", kubeconfig),
        ("bind-address", CONTROL_PLANE.to_owned()),
        ("secure-port", PORT.to_string()),
        (
            "tls-cert-file",
            cluster.certificate("metrics-server-server"),
        ),
        ("tls-private-key-file", cluster.key("metrics-server-server")),
        ("kubelet-certificate-authority", cluster.certificate("ca")),
        ("kubelet-preferred-address-types", "InternalIP".to_owned()),
        ("metric-resolution", "10s".to_owned()),
        ("kubelet-request-timeout", "5s".to_owned()),
    ]));
    let url = format!("https://{CONTROL_PLANE}:{PORT}/livez");
    let health = probe::http(cluster, Node::A, &url, "ca", None);
    Component::new("metrics-server", command, health)
}

/// Its rights, its Service and its API.
pub(super) fn objects(cluster: &Cluster<'_>, step: &Step) -> Result<String> {
    let mut command = cluster.workspace.command("openssl");
    command.args(["base64", "-A", "-in", &cluster.certificate("ca")]);
    let authority = step.output(&mut command)?;
    Ok(format!(
        r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{ name: "system:metrics-server" }}
rules:
  - {{ apiGroups: [""], resources: [nodes/metrics], verbs: [get] }}
  - {{ apiGroups: [""], resources: [pods, nodes], verbs: [get, list, watch] }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{ name: "system:metrics-server" }}
roleRef: {{ apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:metrics-server" }}
subjects: [{{ kind: User, name: metrics-server }}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{ name: "metrics-server:system:auth-delegator" }}
roleRef: {{ apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:auth-delegator" }}
subjects: [{{ kind: User, name: metrics-server }}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{ name: metrics-server-auth-reader, namespace: kube-system }}
roleRef: {{ apiGroup: rbac.authorization.k8s.io, kind: Role, name: extension-apiserver-authentication-reader }}
subjects: [{{ kind: User, name: metrics-server }}]
---
apiVersion: v1
kind: Service
metadata: {{ name: metrics-server, namespace: kube-system }}
spec:
  ports: [{{ port: 443, targetPort: {PORT} }}]
---
apiVersion: v1
kind: Endpoints
metadata: {{ name: metrics-server, namespace: kube-system }}
subsets:
  - addresses: [{{ ip: {CONTROL_PLANE} }}]
    ports: [{{ port: {PORT} }}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {{ name: v1beta1.metrics.k8s.io }}
spec:
  service: {{ name: metrics-server, namespace: kube-system }}
  group: metrics.k8s.io
  version: v1beta1
  caBundle: {authority}
  groupPriorityMinimum: 100
  versionPriority: 100
---
"#,
        authority = authority.trim()
    ))
}
