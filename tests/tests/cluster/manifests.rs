//! Whether the API server takes what deploy/ holds.

use std::{fs, path::Path};

use observer_tests::cluster::{Cluster, turn};
use serde_json::json;

/// Only its name: the schema is the Prometheus Operator's.
const POD_MONITOR: &str = "podmonitors.monitoring.coreos.com";

/// A CustomResourceDefinition of a test. Removed when dropped.
struct Definition(Cluster);

impl Drop for Definition {
    fn drop(&mut self) {
        let _ = self.0.try_kubectl(&["delete", "crd", POD_MONITOR]);
    }
}

impl Definition {
    fn create(cluster: &Cluster) -> Self {
        cluster.apply(&json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": { "name": POD_MONITOR },
            "spec": {
                "group": "monitoring.coreos.com",
                "scope": "Namespaced",
                "names": { "kind": "PodMonitor", "plural": "podmonitors" },
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
        let args: Vec<_> = wait.into_iter().chain([POD_MONITOR]).collect();
        cluster.kubectl(&args);
        Self(cluster.clone())
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
    let _definition = Definition::create(&cluster);
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
