//! Whose pods are whose, by the owner that controls them. Labels do not tell:
//! two workloads may select alike, and share no pod all the same.

use std::collections::HashMap;

use super::objects::{ClusterObjects, PodRecord};
use crate::api::path::WorkloadKind;

/// Of one kind of workload in a namespace.
#[derive(Debug)]
pub(super) struct Owners<'a> {
    /// Deployments have their pods through ReplicaSets: whose each of those is.
    sets: Option<HashMap<&'a str, &'a str>>,
}

impl<'a> Owners<'a> {
    pub(super) fn of(objects: &'a ClusterObjects, kind: WorkloadKind, namespace: &str) -> Self {
        let sets = || {
            let sets = objects.workloads.get(&WorkloadKind::ReplicaSet);
            let sets = sets.into_iter().flat_map(|sets| sets.within(namespace));
            sets.filter_map(|(_, set)| Some((set.uid.as_str(), set.owner.as_deref()?)))
                .collect()
        };
        Self {
            sets: (kind == WorkloadKind::Deployment).then(sets),
        }
    }

    /// The UID of the pod's workload, which may be of another kind unless that
    /// is a Deployment.
    pub(super) fn owner<'p>(&'p self, pod: &'p PodRecord) -> Option<&'p str> {
        let owner = pod.owner.as_deref()?;
        match &self.sets {
            Some(sets) => sets.get(owner).copied(),
            None => Some(owner),
        }
    }
}
