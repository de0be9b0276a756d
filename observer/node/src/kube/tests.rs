//! Pods as the API server gives them, and processes in their containers.

mod attribution;
mod exclusion;
mod pods;
mod tasks;

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    pod_index::{PodIndex, Pods},
    pod_object::Pod,
};
use crate::node::PodWatch;

/// A pod of a Deployment as kubectl shows it, with one container that runs.
fn pod(name: &str, uid: &str, container_id: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "shop", "uid": uid, "resourceVersion": "812",
            "labels": {"app": "checkout", "pod-template-hash": "7d9c6f9b5d"},
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "checkout-7d9c6f9b5d",
                "uid": "3f1c1d2e-0000-4000-8000-000000000001", "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": {"nodeName": "node-a", "containers": [{"name": "server", "image": "registry.example/checkout:1"}]},
        "status": {"phase": "Running", "containerStatuses": [running("server", container_id)]},
    })
}

fn running(name: &str, container_id: &str) -> Value {
    json!({
        "name": name, "ready": true, "restartCount": 0, "image": "registry.example/checkout:1",
        "imageID": "registry.example/checkout@sha256:00", "started": true,
        "containerID": format!("containerd://{container_id}"),
        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
    })
}

fn decoded(pod: &Value) -> Pod {
    serde_json::from_value(pod.clone()).unwrap()
}

fn index(pods: &[&Value]) -> Arc<PodIndex> {
    let mut all = Pods::default();
    all.begin();
    for pod in pods {
        all.apply(decoded(pod));
    }
    all.listed();
    Arc::new(all.index(PodWatch::default(), Arc::default()))
}

/// A container's id that begins with this letter.
fn id(letter: char) -> String {
    letter.to_string().repeat(64)
}

const UID: &str = "8d0c6f2e-4a1b-4c3d-9e5f-0123456789ab";
const OTHER_UID: &str = "11111111-4a1b-4c3d-9e5f-0123456789ab";
