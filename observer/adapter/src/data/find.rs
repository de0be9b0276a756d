//! Which pods each object stands for.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    object_table::ObjectTable,
    objects::{ClusterObjects, PodRecord},
    owners::Owners,
};
use crate::api::{
    path::{ObjectKind, RequestedObjects, WorkloadKind},
    selector::Selector,
};

/// Labels that tell what a pod belongs to, where only labels choose.
const POD: &str = "go-observer/pod";
const NODE: &str = "go-observer/node";
const OWNERS: [(&str, WorkloadKind); 4] = [
    ("go-observer/deployment", WorkloadKind::Deployment),
    ("go-observer/statefulset", WorkloadKind::StatefulSet),
    ("go-observer/replicaset", WorkloadKind::ReplicaSet),
    ("go-observer/daemonset", WorkloadKind::DaemonSet),
];

/// An object that is asked for, and the pods that it stands for.
#[derive(Debug)]
pub(crate) struct Found {
    /// The object's namespace; empty where it has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Running pods.
    pub pods: Vec<Arc<PodRecord>>,
}

impl ClusterObjects {
    /// The objects that are asked for; of one by name, none where there is none.
    pub(crate) fn find(&self, target: &RequestedObjects, selector: &Selector) -> Vec<Found> {
        match target.kind {
            ObjectKind::Pod => self.find_pods(target, selector),
            ObjectKind::Workload(kind) => self.find_workloads(kind, target, selector),
            ObjectKind::Namespace => target
                .name
                .iter()
                .map(|name| Found {
                    namespace: String::new(),
                    name: name.clone(),
                    pods: running(self.pods.within(name).map(|(_, pod)| pod)),
                })
                .collect(),
            ObjectKind::Node => self.find_nodes(target, selector),
        }
    }

    fn find_pods(&self, target: &RequestedObjects, selector: &Selector) -> Vec<Found> {
        chosen(&self.pods, &target.namespace, target.name.as_deref())
            .filter(|(_, pod)| {
                // Of one that is named it is said that it does not run.
                target.name.is_some() || pod.running && selector.matches(&pod.labels)
            })
            .map(|(name, pod)| Found {
                namespace: target.namespace.clone(),
                name: name.clone(),
                pods: running(std::iter::once(pod)),
            })
            .collect()
    }

    fn find_workloads(
        &self,
        kind: WorkloadKind,
        target: &RequestedObjects,
        selector: &Selector,
    ) -> Vec<Found> {
        let Some(workloads) = self.workloads.get(&kind) else {
            return Vec::new();
        };
        let mut places = HashMap::new();
        let mut found = Vec::new();
        let chosen = chosen(workloads, &target.namespace, target.name.as_deref())
            .filter(|(_, workload)| target.name.is_some() || selector.matches(&workload.labels));
        for (name, workload) in chosen {
            places.insert(workload.uid.as_str(), found.len());
            found.push(Found {
                namespace: target.namespace.clone(),
                name: name.clone(),
                pods: Vec::new(),
            });
        }
        let owners = Owners::of(self, kind, &target.namespace);
        for pod in running(self.pods.within(&target.namespace).map(|(_, pod)| pod)) {
            let place = owners.owner(&pod).and_then(|owner| places.get(owner));
            if let Some(&place) = place {
                found[place].pods.push(pod);
            }
        }
        found
    }

    /// Running pods of a namespace that are selected by their labels, and by
    /// those that tell what they belong to.
    pub(crate) fn selected(&self, namespace: &str, selector: &Selector) -> Vec<Arc<PodRecord>> {
        let owners: Vec<_> = OWNERS
            .iter()
            .filter(|(label, _)| selector.names(label))
            .filter_map(|(label, kind)| {
                let workloads = self.workloads.get(kind)?.within(namespace);
                let names: HashMap<_, _> = workloads
                    .map(|(name, workload)| (workload.uid.as_str(), name))
                    .collect();
                Some((*label, Owners::of(self, *kind, namespace), names))
            })
            .collect();
        let more = selector.names(POD) || selector.names(NODE) || !owners.is_empty();
        let chosen = |pod: &&Arc<PodRecord>| {
            if !more {
                return selector.matches(&pod.labels);
            }
            let mut labels = pod.labels.clone();
            labels.insert(POD.to_owned(), pod.name.clone());
            labels.insert(NODE.to_owned(), pod.node.clone());
            for (label, owners, names) in &owners {
                let owner = owners.owner(pod);
                if let Some(name) = owner.and_then(|owner| names.get(owner)) {
                    labels.insert((*label).to_owned(), (*name).clone());
                }
            }
            selector.matches(&labels)
        };
        let pods = self.pods.within(namespace).map(|(_, pod)| pod);
        running(pods.filter(chosen))
    }

    fn find_nodes(&self, target: &RequestedObjects, selector: &Selector) -> Vec<Found> {
        let mut found: BTreeMap<&str, Vec<Arc<PodRecord>>> =
            chosen(&self.nodes, "", target.name.as_deref())
                .filter(|(_, node)| target.name.is_some() || selector.matches(&node.labels))
                .map(|(name, _)| (name.as_str(), Vec::new()))
                .collect();
        if found.is_empty() {
            return Vec::new();
        }
        for pod in self.pods.all().filter(|pod| pod.running) {
            if let Some(pods) = found.get_mut(pod.node.as_str()) {
                pods.push(Arc::clone(pod));
            }
        }
        let found = found.into_iter().map(|(name, pods)| Found {
            namespace: String::new(),
            name: name.to_owned(),
            pods,
        });
        found.collect()
    }
}

fn running<'a>(pods: impl Iterator<Item = &'a Arc<PodRecord>>) -> Vec<Arc<PodRecord>> {
    pods.filter(|pod| pod.running).map(Arc::clone).collect()
}

/// One object by name, or all of a namespace.
fn chosen<'a, T>(
    table: &'a ObjectTable<T>,
    namespace: &'a str,
    name: Option<&'a str>,
) -> impl Iterator<Item = (&'a String, &'a Arc<T>)> {
    let all = name.is_none();
    let one = name.and_then(|name| table.entry(namespace, name));
    one.into_iter()
        .chain(table.within(namespace).filter(move |_| all))
}
