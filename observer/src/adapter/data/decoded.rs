//! What is decoded of the cluster's objects: of all kinds together less than a
//! dozen fields. Decoding whole objects of six kinds would take a fifth of the
//! program's size, and memory for each of them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Object;
use serde::Deserialize;

/// A pod, a node or a workload, as the API server gives it.
pub(super) type Decoded = Object<Spec, Status>;

/// What is wanted.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Spec {
    /// Of a pod.
    pub(super) node_name: Option<String>,
    /// Of a workload.
    pub(super) selector: Option<LabelSelector>,
}

/// What is, of a pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub(super) phase: Option<String>,
    #[serde(rename = "podIP")]
    pub(super) pod_ip: Option<String>,
    #[serde(rename = "containerStatuses")]
    pub(super) containers: Vec<Container>,
}

/// A container of a pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Container {
    pub(super) restart_count: i32,
    pub(super) ready: bool,
}
