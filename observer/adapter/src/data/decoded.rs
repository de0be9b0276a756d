//! What is decoded of the cluster's objects: of all kinds together some two dozen
//! fields. Decoding whole objects of six kinds would take a fifth of the
//! program's size, and memory for each of them.

use std::collections::BTreeMap;

use kube::core::Object;
use serde::Deserialize;

/// A pod, a node or a workload, as the API server gives it.
pub(crate) type Decoded = Object<Spec, Status>;

/// What is wanted, of a pod or a workload.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Spec {
    pub(super) node_name: Option<String>,
    affinity: Option<Affinity>,
    /// Of a workload.
    template: Option<Template>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Template {
    spec: PodSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodSpec {
    node_selector: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Affinity {
    node_affinity: Option<NodeAffinity>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct NodeAffinity {
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    required: Option<NodeSelector>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NodeSelector {
    node_selector_terms: Vec<Term>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Term {
    match_fields: Vec<Field>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Field {
    key: String,
    values: Vec<String>,
}

impl Spec {
    /// The node that a DaemonSet made the pod for, before it is bound.
    pub(super) fn meant_for(&self) -> Option<&str> {
        let affinity = self.affinity.as_ref()?.node_affinity.as_ref()?;
        let terms = &affinity.required.as_ref()?.node_selector_terms;
        let fields = &terms.first()?.match_fields;
        let name = fields.iter().find(|field| field.key == "metadata.name")?;
        name.values.first().map(String::as_str)
    }

    /// The labels that a workload's pods ask of a node.
    pub(super) fn node_selector(self) -> BTreeMap<String, String> {
        self.template.unwrap_or_default().spec.node_selector
    }
}

/// What is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Status {
    /// Of a pod.
    pub(super) phase: Option<String>,
    #[serde(rename = "podIP")]
    pub(super) pod_ip: Option<String>,
    #[serde(rename = "containerStatuses")]
    pub(super) containers: Vec<Container>,
    conditions: Vec<Condition>,
    /// Of a workload.
    pub(super) observed_generation: Option<i64>,
    /// Of a DaemonSet: on how many nodes it wants a pod.
    pub(super) desired_number_scheduled: Option<u64>,
}

impl Status {
    /// Whether the scheduler found no way to place the pod.
    pub(super) fn is_unschedulable(&self) -> bool {
        self.conditions.iter().any(|condition| {
            condition.kind == "PodScheduled"
                && condition.status == "False"
                && condition.reason == "Unschedulable"
        })
    }
}

/// A container of a pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Container {
    pub(super) restart_count: i32,
    pub(super) ready: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: String,
}
