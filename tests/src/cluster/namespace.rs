//! A namespace of a test's own, and pods in it.

use std::{path::PathBuf, process::Command};

use serde_json::{Value, json};

use super::{Cluster, SOON, observers::is_ready};
use crate::{paths, wait};

/// Deleted when dropped.
#[derive(Debug)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub cluster: Cluster,
}

impl Namespace {
    /// Makes one whose name begins so.
    pub fn create(cluster: &Cluster, prefix: &str) -> Self {
        let name = format!("{prefix}-{}", suffix());
        cluster.apply(&json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": { "name": name },
        }));
        // Without it pods are refused.
        wait::until("the default service account", SOON, || {
            cluster.find(&["serviceaccount", "default", "--namespace", &name])
        });
        Self {
            name,
            cluster: cluster.clone(),
        }
    }

    /// Applies an object in this namespace.
    pub fn apply(&self, mut object: Value) {
        object["metadata"]["namespace"] = json!(self.name);
        self.cluster.apply(&object);
    }

    /// As [`Self::apply`], of what could not be kept as an annotation besides.
    pub fn apply_new(&self, mut object: Value) {
        object["metadata"]["namespace"] = json!(self.name);
        let applied = self.cluster.apply_with(&object, &["--server-side"]);
        applied.unwrap_or_else(|e| panic!("kubectl apply: {e}"));
    }

    /// An object of this namespace, if it is there.
    pub fn find(&self, kind: &str, name: &str) -> Option<Value> {
        self.cluster.find(&[kind, name, "--namespace", &self.name])
    }

    /// All objects of a kind.
    pub fn list(&self, kind: &str) -> Vec<Value> {
        self.cluster.list(&[kind, "--namespace", &self.name])
    }

    /// kubectl in this namespace.
    pub fn kubectl(&self, args: &[&str]) -> String {
        let place = ["--namespace", &self.name];
        let args: Vec<_> = place.iter().chain(args).copied().collect();
        self.cluster.kubectl(&args)
    }

    /// A pod, once it is ready.
    pub fn ready(&self, pod: &str) -> Value {
        wait::until(&format!("pod {pod} ready"), SOON, || {
            self.find("pod", pod).filter(is_ready)
        })
    }

    /// A pod, once its phase is this.
    pub fn phase(&self, pod: &str, phase: &str) -> Value {
        wait::until(&format!("pod {pod} {phase}"), SOON, || {
            self.find("pod", pod)
                .filter(|pod| pod["status"]["phase"] == phase)
        })
    }

    /// What a container has logged.
    pub fn log(&self, pod: &str, container: &str) -> String {
        self.kubectl(&["logs", pod, "--container", container])
    }

    /// Standard input and output of a container's first process.
    pub fn attach(&self, pod: &str, container: &str) -> Command {
        let mut command = self.cluster.kubectl_command();
        command
            .args(["attach", "--quiet", "--stdin", "--namespace", &self.name])
            .args([pod, "--container", container]);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let args = ["get", "pods", "--output=wide", "--namespace", &self.name];
            eprintln!("{:?}", self.cluster.try_kubectl(&args));
        }
        let args = ["delete", "namespace", &self.name, "--wait=false"];
        let _ = self.cluster.try_kubectl(&args);
    }
}

/// Tells this run's namespaces from another's.
fn suffix() -> String {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    format!("{:05x}", (nanos / 1000) & 0xf_ffff)
}

/// A pod of containers, ended without grace.
pub fn pod(name: &str, node: Option<&str>, containers: &[Value]) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name },
        "spec": pod_spec(node, containers),
    })
}

/// What a pod and a template of pods have in common. The Go programs of the
/// tests are at /fixtures.
pub fn pod_spec(node: Option<&str>, containers: &[Value]) -> Value {
    let mut spec = json!({
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "containers": containers,
        "volumes": [{
            "name": "fixtures",
            "hostPath": { "path": fixtures(), "type": "Directory" },
        }],
    });
    if let Some(node) = node {
        // By label, so that the scheduler has its say.
        spec["nodeSelector"] = json!({ "kubernetes.io/hostname": node });
    }
    spec
}

/// A container of the burst service, built by a version of Go. Nobody probes
/// it: what asks makes goroutines.
pub fn burst(name: &str, version: &str) -> Value {
    json!({
        "name": name,
        "image": format!("go-observer/burst:go{version}"),
        "imagePullPolicy": "Never",
    })
}

/// A container that runs a Go program of the tests.
pub fn fixture(name: &str, program: &str, version: &str, variant: &str, args: &[&str]) -> Value {
    let file = |name: &str| format!("/fixtures/{name}-{version}-{variant}");
    let _ = paths::fixture(program, version, variant);
    let command: Vec<_> = std::iter::once(file(program))
        .chain(args.iter().map(|arg| (*arg).to_owned()))
        .collect();
    json!({
        "name": name,
        // Any image does.
        "image": format!("go-observer/burst:go{}", super::burst::NEWEST),
        "imagePullPolicy": "Never",
        "command": command,
        "stdin": true,
        "volumeMounts": [{ "name": "fixtures", "mountPath": "/fixtures", "readOnly": true }],
    })
}

fn fixtures() -> PathBuf {
    let file = paths::fixture("idle", paths::GO, "default");
    file.parent().expect("a directory").to_path_buf()
}
