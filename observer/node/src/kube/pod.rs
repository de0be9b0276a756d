//! What is kept of a pod.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::pod_object::{self, ContainerStatus};
use crate::{
    exclude::ExclusionRules,
    node::{Pod, PodContainer, Workload},
};

/// The UID that the kubelet gave a static pod, at its mirror pod. The mirror
/// pod's own UID is the API server's, and stands in no cgroup.
const CONFIG_HASH: &str = "kubernetes.io/config.hash";
const TEMPLATE_HASH: &str = "pod-template-hash";
/// The longest kind and name of an object. The API server holds objects to
/// that, but not what a pod says of its owner.
const LONGEST: (usize, usize) = (63, 253);

/// What is kept of a pod: some hundred bytes of some ten thousand.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) pod: Arc<Pod>,
    /// The UID in the paths of its cgroups.
    pub(super) cgroup_uid: String,
    pub(super) containers: Vec<Container>,
    /// Why it is not to be observed, if so, whatever its namespace wants.
    pub(super) excluded: Option<String>,
}

/// A container that the kubelet has told of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) of: Arc<PodContainer>,
    pub(super) running: bool,
}

impl Record {
    /// What is kept of this pod; `None` of one without a UID, which the API
    /// server never gives.
    pub(super) fn of(pod: pod_object::Pod, rules: &ExclusionRules) -> Option<Self> {
        let metadata = pod.metadata;
        let uid = metadata.uid?;
        let excluded = rules.pod(metadata.labels.as_ref(), metadata.annotations.as_ref());
        let labels = metadata.labels.unwrap_or_default();
        let owners = metadata.owner_references.unwrap_or_default();
        let cgroup_uid = metadata
            .annotations
            .and_then(|mut annotations| annotations.remove(CONFIG_HASH))
            .unwrap_or_else(|| uid.clone());
        let kept = Arc::new(Pod {
            namespace: metadata.namespace.unwrap_or_default(),
            name: metadata.name.unwrap_or_default(),
            uid,
            node: pod.spec.node_name.unwrap_or_default(),
            workload: workload(&owners, &labels),
        });
        let status = pod.status.unwrap_or_default();
        let statuses = [
            status.init_container_statuses,
            status.container_statuses,
            status.ephemeral_container_statuses,
        ];
        let containers = statuses
            .into_iter()
            .flatten()
            .flatten()
            .flat_map(|status| containers(&kept, status))
            .collect();
        Some(Self {
            pod: kept,
            cgroup_uid,
            containers,
            excluded,
        })
    }
}

/// A container as it runs, and as it ran before it was started again.
fn containers(pod: &Arc<Pod>, status: ContainerStatus) -> Vec<Container> {
    let of = Arc::new(PodContainer {
        pod: Arc::clone(pod),
        name: status.name,
    });
    let state = status.state.unwrap_or_default();
    let now = Container {
        id: status
            .container_id
            .as_deref()
            .and_then(id)
            .unwrap_or_default(),
        of: Arc::clone(&of),
        running: state.running.is_some(),
    };
    let ended = [Some(state), status.last_state]
        .into_iter()
        .flatten()
        .filter_map(|state| id(&state.terminated?.container_id?))
        .map(|id| Container {
            id,
            of: Arc::clone(&of),
            running: false,
        });
    let mut all: Vec<Container> = ended.collect();
    all.retain(|container| container.id != now.id);
    if !now.id.is_empty() {
        all.push(now);
    }
    all.dedup_by(|a, b| a.id == b.id);
    all
}

/// The id in `containerd://ID`, `cri-o://ID`, `docker://ID`.
pub(super) fn id(with_scheme: &str) -> Option<String> {
    let (_, id) = with_scheme.split_once("://")?;
    (!id.is_empty()).then(|| id.to_owned())
}

/// What controls the pod. A ReplicaSet of a Deployment bears its name and the
/// hash of the pod's template, which the pod bears as a label: so the name of
/// the Deployment needs no right to read ReplicaSets. Whoever creates a pod may
/// name any owner, also one that cannot be: that one is none.
fn workload(owners: &[OwnerReference], labels: &BTreeMap<String, String>) -> Option<Workload> {
    let owner = owners.iter().find(|owner| owner.controller == Some(true))?;
    if owner.kind.len() > LONGEST.0 || owner.name.len() > LONGEST.1 {
        return None;
    }
    let deployment = (owner.kind == "ReplicaSet")
        .then(|| labels.get(TEMPLATE_HASH))
        .flatten()
        .and_then(|hash| owner.name.strip_suffix(hash.as_str())?.strip_suffix('-'))
        .filter(|name| !name.is_empty());
    Some(match deployment {
        Some(name) => Workload {
            kind: "Deployment".to_owned(),
            name: name.to_owned(),
        },
        None => Workload {
            kind: owner.kind.clone(),
            name: owner.name.clone(),
        },
    })
}
