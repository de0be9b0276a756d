//! Certificate authorities, certificates and keys, laid out as kubeadm does.
//!
//! By the openssl command: xtask must build with the Rust of a distribution,
//! which is older than what certificate libraries ask for.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

use super::layout::{API_SERVICE, CONTROL_PLANE, Cluster, Node};
use crate::ui::Step;

const CLUSTER: &str = "ca";
const FRONT_PROXY: &str = "front-proxy-ca";
const ETCD: &str = "etcd-ca";
const CLIENT: &str = "clientAuth";
const SERVER: &str = "serverAuth";
const DAYS: &str = "365";

/// A certificate to be signed.
#[derive(Debug)]
struct Leaf {
    file: String,
    authority: &'static str,
    /// In openssl's form: `/O=group/CN=user`.
    subject: String,
    usage: &'static str,
    names: Vec<String>,
}

impl Leaf {
    fn client(file: &str, authority: &'static str, subject: &str) -> Self {
        Self {
            file: file.to_owned(),
            authority,
            subject: subject.to_owned(),
            usage: CLIENT,
            names: Vec::new(),
        }
    }

    fn server(file: &str, authority: &'static str, name: &str, names: &[&str]) -> Self {
        Self {
            file: file.to_owned(),
            authority,
            subject: format!("/CN={name}"),
            usage: SERVER,
            names: names.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Makes all of it, unless it is there.
pub(super) fn create(cluster: &Cluster<'_>, step: &Step) -> Result<()> {
    let complete = cluster.path("pki/complete");
    if complete.exists() {
        return Ok(());
    }
    cluster.write(
        "pki/openssl.cnf",
        "[req]\ndistinguished_name = name\n[name]\n",
    )?;
    for authority in [CLUSTER, FRONT_PROXY, ETCD] {
        sign_itself(cluster, step, authority)?;
    }
    for leaf in leaves() {
        step.note(&leaf.file);
        sign(cluster, step, &leaf)?;
    }
    service_account_key(cluster, step)?;
    fs::write(&complete, "").with_context(|| format!("cannot write {}", complete.display()))?;
    Ok(())
}

fn leaves() -> Vec<Leaf> {
    let api = [
        "DNS:kubernetes",
        "DNS:kubernetes.default",
        "DNS:kubernetes.default.svc",
        "DNS:kubernetes.default.svc.cluster.local",
        "DNS:localhost",
        "IP:127.0.0.1",
    ];
    let addresses = [format!("IP:{API_SERVICE}"), format!("IP:{CONTROL_PLANE}")];
    let api: Vec<_> = api
        .into_iter()
        .chain(addresses.iter().map(String::as_str))
        .collect();
    let local = ["DNS:localhost", "IP:127.0.0.1"];
    let manager = "system:kube-controller-manager";
    let scheduler = "system:kube-scheduler";
    let metrics = [
        "DNS:metrics-server.kube-system.svc".to_owned(),
        format!("IP:{CONTROL_PLANE}"),
    ];
    let mut leaves = vec![
        Leaf::server("etcd", ETCD, "etcd", &local),
        Leaf::client("apiserver-etcd", ETCD, "/CN=kube-apiserver-etcd-client"),
        Leaf::server("apiserver", CLUSTER, "kube-apiserver", &api),
        Leaf::client(
            "apiserver-kubelet",
            CLUSTER,
            "/CN=kube-apiserver-kubelet-client",
        ),
        Leaf::client("front-proxy", FRONT_PROXY, "/CN=front-proxy-client"),
        Leaf::client("admin", CLUSTER, "/O=system:masters/CN=kubernetes-admin"),
        Leaf::client("controller-manager", CLUSTER, &format!("/CN={manager}")),
        Leaf::server("controller-manager-server", CLUSTER, manager, &local),
        Leaf::client("scheduler", CLUSTER, &format!("/CN={scheduler}")),
        Leaf::server("scheduler-server", CLUSTER, scheduler, &local),
        Leaf::client("kube-proxy", CLUSTER, "/CN=system:kube-proxy"),
        Leaf::client("metrics-server", CLUSTER, "/CN=metrics-server"),
        Leaf::client("kube-state-metrics", CLUSTER, "/CN=kube-state-metrics"),
        Leaf::server(
            "metrics-server-server",
            CLUSTER,
            "metrics-server",
            &[&metrics[0], &metrics[1]],
        ),
    ];
    for node in Node::ALL {
        let user = format!("system:node:{}", node.name());
        let names = [
            format!("DNS:{}", node.name()),
            format!("IP:{}", node.address()),
        ];
        leaves.push(Leaf::client(
            node.name(),
            CLUSTER,
            &format!("/O=system:nodes/CN={user}"),
        ));
        leaves.push(Leaf::server(
            &format!("{}-server", node.name()),
            CLUSTER,
            &user,
            &[&names[0], &names[1]],
        ));
    }
    leaves
}

fn sign_itself(cluster: &Cluster<'_>, step: &Step, name: &str) -> Result<()> {
    let mut command = request(cluster, name, &format!("/CN=go-observer-{name}"));
    command.args(["-addext", "basicConstraints=critical,CA:TRUE"]);
    command.args(["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]);
    step.run(&mut command)
}

fn sign(cluster: &Cluster<'_>, step: &Step, leaf: &Leaf) -> Result<()> {
    let mut command = request(cluster, &leaf.file, &leaf.subject);
    command
        .args(["-CA", &cluster.certificate(leaf.authority)])
        .args(["-CAkey", &cluster.key(leaf.authority)])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-addext", "keyUsage=critical,digitalSignature"])
        .arg("-addext")
        .arg(format!("extendedKeyUsage={}", leaf.usage));
    if !leaf.names.is_empty() {
        command
            .arg("-addext")
            .arg(format!("subjectAltName={}", leaf.names.join(",")));
    }
    step.run(&mut command)
}

fn request(cluster: &Cluster<'_>, file: &str, subject: &str) -> std::process::Command {
    let mut command = cluster.workspace.command("openssl");
    command
        .args(["req", "-x509", "-batch", "-sha256", "-days", DAYS])
        .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
        .args(["-noenc", "-config", &cluster.text("pki/openssl.cnf")])
        .args(["-subj", subject])
        .args(["-keyout", &cluster.key(file)])
        .args(["-out", &cluster.certificate(file)]);
    command
}

fn service_account_key(cluster: &Cluster<'_>, step: &Step) -> Result<()> {
    let private = cluster.key("service-account");
    let public: PathBuf = cluster.path("pki/service-account.pub");
    let mut command = cluster.workspace.command("openssl");
    command.args(["genpkey", "-algorithm", "EC"]).args([
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-out",
        &private,
    ]);
    step.run(&mut command)?;
    let mut command = cluster.workspace.command("openssl");
    command.args(["pkey", "-in", &private, "-pubout", "-out"]);
    step.run(command.arg(public))
}
