//! etcd, kube-apiserver, kube-controller-manager, kube-scheduler, with the
//! flags that kubeadm gives them.

use std::process::Command;

use super::{
    component::{Component, flags},
    layout::{API_PORT, API_URL, CONTROL_PLANE, Cluster, Node, POD_RANGE, SERVICE_RANGE},
    probe,
};

const ETCD: &str = "https://127.0.0.1:12379";
const ETCD_PEER: &str = "https://127.0.0.1:12380";

pub(super) fn etcd(cluster: &Cluster<'_>) -> Component {
    let mut command = cluster.workspace.command("etcd");
    let authority = cluster.certificate("etcd-ca");
    let (certificate, key) = (cluster.certificate("etcd"), cluster.key("etcd"));
    command.args(flags([
        ("name", "go-observer".to_owned()),
        ("data-dir", cluster.text("etcd")),
        ("listen-client-urls", ETCD.to_owned()),
        ("advertise-client-urls", ETCD.to_owned()),
        ("listen-peer-urls", ETCD_PEER.to_owned()),
        ("initial-advertise-peer-urls", ETCD_PEER.to_owned()),
        ("initial-cluster", format!("go-observer={ETCD_PEER}")),
        ("client-cert-auth", "true".to_owned()),
        ("trusted-ca-file", authority.clone()),
        ("cert-file", certificate.clone()),
        ("key-file", key.clone()),
        ("peer-client-cert-auth", "true".to_owned()),
        ("peer-trusted-ca-file", authority),
        ("peer-cert-file", certificate),
        ("peer-key-file", key),
    ]));
    let url = format!("{ETCD}/health");
    let health = probe::http(cluster, Node::A, &url, "etcd-ca", Some("apiserver-etcd"));
    Component::new("etcd", command, health)
}

pub(super) fn api_server(cluster: &Cluster<'_>) -> Component {
    let mut command = kubernetes(cluster, "kube-apiserver");
    let word = str::to_owned;
    command.args(flags([
        ("advertise-address", word(CONTROL_PLANE)),
        ("bind-address", word(CONTROL_PLANE)),
        ("secure-port", API_PORT.to_string()),
        ("tls-cert-file", cluster.certificate("apiserver")),
        ("tls-private-key-file", cluster.key("apiserver")),
        ("client-ca-file", cluster.certificate("ca")),
        ("authorization-mode", word("Node,RBAC")),
        ("enable-admission-plugins", word("NodeRestriction")),
        ("allow-privileged", word("true")),
        ("service-cluster-ip-range", word(SERVICE_RANGE)),
    ]));
    command.args(flags([
        ("etcd-servers", word(ETCD)),
        ("etcd-cafile", cluster.certificate("etcd-ca")),
        ("etcd-certfile", cluster.certificate("apiserver-etcd")),
        ("etcd-keyfile", cluster.key("apiserver-etcd")),
    ]));
    let kubelet = "apiserver-kubelet";
    command.args(flags([
        ("kubelet-certificate-authority", cluster.certificate("ca")),
        ("kubelet-client-certificate", cluster.certificate(kubelet)),
        ("kubelet-client-key", cluster.key(kubelet)),
        ("kubelet-preferred-address-types", word("InternalIP")),
    ]));
    let issuer = "https://kubernetes.default.svc.cluster.local";
    command.args(flags([
        ("service-account-issuer", word(issuer)),
        (
            "service-account-key-file",
            cluster.text("pki/service-account.pub"),
        ),
        (
            "service-account-signing-key-file",
            cluster.key("service-account"),
        ),
    ]));
    command.args(aggregation(cluster));
    let url = format!("{API_URL}/readyz");
    let health = probe::http(cluster, Node::A, &url, "ca", Some("admin"));
    let mut component = Component::new("kube-apiserver", command, health);
    // It would wait a minute for open watches; etcd has all it acknowledged.
    component.patience = std::time::Duration::from_secs(5);
    component
}

/// For APIs that other servers serve. With aggregator routing their Services
/// need no way from this machine to a cluster address.
fn aggregation(cluster: &Cluster<'_>) -> Vec<String> {
    let word = str::to_owned;
    flags([
        (
            "requestheader-client-ca-file",
            cluster.certificate("front-proxy-ca"),
        ),
        ("requestheader-allowed-names", word("front-proxy-client")),
        ("requestheader-username-headers", word("X-Remote-User")),
        ("requestheader-group-headers", word("X-Remote-Group")),
        (
            "requestheader-extra-headers-prefix",
            word("X-Remote-Extra-"),
        ),
        ("proxy-client-cert-file", cluster.certificate("front-proxy")),
        ("proxy-client-key-file", cluster.key("front-proxy")),
        ("enable-aggregator-routing", word("true")),
    ])
}

pub(super) fn controller_manager(cluster: &Cluster<'_>) -> Component {
    let mut command = kubernetes(cluster, "kube-controller-manager");
    command.args(delegating(cluster, "controller-manager"));
    let word = str::to_owned;
    let seconds = cluster.settings.autoscaler_seconds;
    command.args(flags([
        ("cluster-cidr", word(POD_RANGE)),
        ("allocate-node-cidrs", word("false")),
        ("service-cluster-ip-range", word(SERVICE_RANGE)),
        ("root-ca-file", cluster.certificate("ca")),
        ("client-ca-file", cluster.certificate("ca")),
        ("cluster-signing-cert-file", cluster.certificate("ca")),
        ("cluster-signing-key-file", cluster.key("ca")),
        (
            "service-account-private-key-file",
            cluster.key("service-account"),
        ),
        ("use-service-account-credentials", word("true")),
        ("flex-volume-plugin-dir", cluster.text("volume-plugins")),
        (
            "horizontal-pod-autoscaler-sync-period",
            format!("{seconds}s"),
        ),
    ]));
    let health = "https://127.0.0.1:10257/healthz";
    let health = probe::http(cluster, Node::A, health, "ca", None);
    Component::new("kube-controller-manager", command, health)
}

pub(super) fn scheduler(cluster: &Cluster<'_>) -> Component {
    let mut command = kubernetes(cluster, "kube-scheduler");
    command.args(delegating(cluster, "scheduler"));
    let health = "https://127.0.0.1:10259/healthz";
    let health = probe::http(cluster, Node::A, health, "ca", None);
    Component::new("kube-scheduler", command, health)
}

/// What controller manager and scheduler share. There is one of each, so that
/// no lease has to run out before a restarted one works.
fn delegating(cluster: &Cluster<'_>, name: &str) -> Vec<String> {
    let kubeconfig = cluster.component_kubeconfig(name);
    let server = format!("{name}-server");
    flags([
        ("kubeconfig", kubeconfig.clone()),
        ("authentication-kubeconfig", kubeconfig.clone()),
        ("authorization-kubeconfig", kubeconfig),
        ("bind-address", "127.0.0.1".to_owned()),
        ("leader-elect", "false".to_owned()),
        ("tls-cert-file", cluster.certificate(&server)),
        ("tls-private-key-file", cluster.key(&server)),
    ])
}

fn kubernetes(cluster: &Cluster<'_>, program: &str) -> Command {
    cluster.workspace.command(cluster.binary(program))
}
