//! Whether the API server takes what deploy/ holds.

use std::{fs, path::Path};

use observer_tests::cluster::{Cluster, turn};
use serde_json::json;

/// A CustomResourceDefinition of a test. Removed when dropped.
struct Definition {
    cluster: Cluster,
    name: String,
}

impl Drop for Definition {
    fn drop(&mut self) {
        let _ = self.cluster.try_kubectl(&["delete", "crd", &self.name]);
    }
}

impl Definition {
    /// Only the kind's name: its schema is the Prometheus Operator's, or OpenShift's.
    fn create(cluster: &Cluster, group: &str, kind: &str, plural: &str, scope: &str) -> Self {
        let name = format!("{plural}.{group}");
        cluster.apply(&json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": { "name": name },
            "spec": {
                "group": group,
                "scope": scope,
                "names": { "kind": kind, "plural": plural },
                "versions": [{
                    "name": "v1",
                    "served": true,
                    "storage": true,
                    "schema": { "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": true,
                    } },
                }],
            },
        }));
        let wait = [
            "wait",
            "--for=condition=Established",
            "--timeout=60s",
            "crd",
        ];
        let args: Vec<_> = wait.into_iter().chain([name.as_str()]).collect();
        cluster.kubectl(&args);
        Self {
            cluster: cluster.clone(),
            name,
        }
    }
}

/// The namespace of the example. Removed when dropped.
struct Example(Cluster);

impl Example {
    fn create(cluster: &Cluster) -> Self {
        cluster.apply(&json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": { "name": "burst" },
        }));
        Self(cluster.clone())
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let args = ["delete", "namespace", "burst", "--wait=false"];
        let _ = self.0.try_kubectl(&args);
    }
}

#[test]
fn the_api_server_takes_every_kustomization() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let define =
        |group, kind, plural, scope| Definition::create(&cluster, group, kind, plural, scope);
    let _definitions = [
        define(
            "monitoring.coreos.com",
            "PodMonitor",
            "podmonitors",
            "Namespaced",
        ),
        define(
            "security.openshift.io",
            "SecurityContextConstraints",
            "securitycontextconstraints",
            "Cluster",
        ),
    ];
    // A dry run creates none, and then refuses what would be in it.
    let _namespace = Example::create(&cluster);
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let overlays = fs::read_dir(deploy.join("overlays")).expect("overlays");
    let mut all: Vec<_> = overlays.map(|one| one.expect("one").path()).collect();
    let examples = fs::read_dir(deploy.join("examples")).expect("examples");
    all.extend(examples.map(|one| one.expect("one").path()));
    all.extend([deploy.join("observer"), deploy.join("adapter")]);
    assert!(all.len() > 13, "{all:?}");
    for path in all {
        let fixed = ["apply", "--dry-run=server", "--validate=strict", "-k"];
        let args = fixed.iter().map(AsRef::as_ref).chain([path.as_os_str()]);
        let said = cluster.try_kubectl(&args.collect::<Vec<_>>());
        let said = said.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(said.contains("server dry run"), "{said}");
    }
}
