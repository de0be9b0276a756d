//! One more observer, as a DaemonSet of deploy/ would start it but for a
//! change, beside those that all tests share.

use std::path::Path;

use serde_json::{Value, json};

use super::{Cluster, NAMESPACE, Observer, SOON};
use crate::wait;

/// Deleted when dropped.
#[derive(Debug)]
pub struct Variant {
    /// Name of its pod.
    pub name: String,
    cluster: Cluster,
}

impl Variant {
    /// Starts a pod from a kustomization below deploy/, on a node.
    pub fn start(
        cluster: &Cluster,
        kustomization: &str,
        name: &str,
        node: &str,
        change: impl FnOnce(&mut Value),
    ) -> Self {
        let mut spec = daemon_set(cluster, kustomization)["spec"]["template"]["spec"].take();
        spec["nodeSelector"]["kubernetes.io/hostname"] = json!(node);
        change(&mut spec);
        let this = Self {
            name: name.to_owned(),
            cluster: cluster.clone(),
        };
        // Not the DaemonSet's labels, which would adopt it, nor the annotations
        // that have it scraped.
        cluster.apply(&json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "labels": { "app.kubernetes.io/name": name },
            },
            "spec": spec,
        }));
        this
    }

    /// Its pod as it is now.
    pub fn pod(&self) -> Value {
        self.cluster
            .get_object(&["pod", &self.name, "--namespace", NAMESPACE])
    }

    /// The observer, once its address is known and it says that it is ready.
    pub fn ready(&self) -> Observer {
        wait::until(&format!("{} to be ready", self.name), SOON, || {
            let observer = Observer::of(&self.cluster, &self.pod());
            let (status, _) = observer.get_as("/readyz", None).ok()?;
            (status == 200).then_some(observer)
        })
    }

    /// How often its container was started again.
    pub fn restarts(&self) -> u64 {
        let pod = self.pod();
        let restarts = &pod["status"]["containerStatuses"][0]["restartCount"];
        restarts.as_u64().unwrap_or_else(|| panic!("{pod}"))
    }
}

impl Drop for Variant {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let args = ["logs", &self.name, "--namespace", NAMESPACE];
            eprintln!("{}: {:?}", self.name, self.cluster.try_kubectl(&args));
        }
        let args = ["delete", "pod", &self.name, "--namespace", NAMESPACE];
        let args: Vec<_> = args.into_iter().chain(["--wait=false"]).collect();
        let _ = self.cluster.try_kubectl(&args);
    }
}

/// The DaemonSet of a kustomization below deploy/.
fn daemon_set(cluster: &Cluster, kustomization: &str) -> Value {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let path = deploy.join(kustomization);
    let text = cluster.kubectl(&["kustomize".as_ref(), path.as_os_str()]);
    let objects: Vec<Value> =
        serde_saphyr::from_multiple(&text).unwrap_or_else(|e| panic!("{kustomization}: {e}"));
    let mut sets = objects
        .into_iter()
        .filter(|object| object["kind"] == "DaemonSet");
    sets.next().expect("a DaemonSet")
}
