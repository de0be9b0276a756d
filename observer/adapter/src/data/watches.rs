//! The watches that keep [`ClusterObjects`] as the API server has them.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, UNIX_EPOCH},
};

use futures_util::{Stream, StreamExt};
use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet},
        core::v1::{Node as ApiNode, Pod as ApiPod},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{
    Api,
    core::ApiResource,
    runtime::watcher::{self, Config, Event},
};
use observer_node::kube::{Connection, WatchBackoff};
use tokio::{sync::Notify, task::JoinSet};

use super::{
    decoded::{Decoded, Status},
    object_table::Placed,
    objects::{
        APP, ClusterObjects, NodeRecord, Observer, ObserverEndpoint, PodRecord, WorkloadRecord,
    },
};
use crate::api::path::{ObjectKind, WorkloadKind};

/// Objects decoded at once, which bounds the memory that a list takes.
const PAGE: u32 = 500;
/// How long the server keeps one watch, and with it, how long a connection
/// that died without a word is taken for alive.
const ONE_WATCH: u32 = 120;

/// What is known of the cluster, shared.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedObjects(Arc<RwLock<ClusterObjects>>);

impl SharedObjects {
    /// To look something up.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, ClusterObjects> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// To change what is known.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, ClusterObjects> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches everything that values are of, until the set is dropped. Of pods in
/// `observers` that are observers their addresses are kept.
pub(crate) fn watch(connection: &Connection, observers: &str) -> (SharedObjects, JoinSet<()>) {
    let shared = SharedObjects::default();
    let mut tasks = JoinSet::new();
    let namespace = observers.to_owned();
    let mut follow = |kind, resource, take| {
        tasks.spawn(follow(
            connection.clone(),
            resource,
            kind,
            shared.clone(),
            take,
        ));
    };
    let pods: Take = Box::new(move |objects, event| {
        objects.pods.take(event, |pod| keep_pod(pod, &namespace));
    });
    follow(ObjectKind::Pod, ApiResource::erase::<ApiPod>(&()), pods);
    let nodes: Take = Box::new(|objects, event| objects.nodes.take(event, keep_node));
    follow(ObjectKind::Node, ApiResource::erase::<ApiNode>(&()), nodes);
    for kind in WorkloadKind::ALL {
        let resource = match kind {
            WorkloadKind::Deployment => ApiResource::erase::<Deployment>(&()),
            WorkloadKind::StatefulSet => ApiResource::erase::<StatefulSet>(&()),
            WorkloadKind::ReplicaSet => ApiResource::erase::<ReplicaSet>(&()),
            WorkloadKind::DaemonSet => ApiResource::erase::<DaemonSet>(&()),
        };
        let workloads: Take = Box::new(move |objects, event| {
            let table = objects.workloads.entry(kind).or_default();
            table.take(event, keep_workload);
        });
        follow(ObjectKind::Workload(kind), resource, workloads);
    }
    (shared, tasks)
}

/// Puts an event into the objects.
type Take = Box<dyn FnMut(&mut ClusterObjects, Event<Decoded>) + Send>;

fn place(metadata: &mut ObjectMeta) -> (String, String) {
    let namespace = metadata.namespace.take().unwrap_or_default();
    (namespace, metadata.name.take().unwrap_or_default())
}

pub(super) fn keep_pod(pod: Decoded, observers: &str) -> Placed<PodRecord> {
    let mut metadata = pod.metadata;
    let (namespace, name) = place(&mut metadata);
    let labels: BTreeMap<_, _> = metadata.labels.unwrap_or_default();
    let status = pod.status.unwrap_or_default();
    let begun = status.phase.as_deref() == Some("Running");
    let deleting = metadata.deletion_timestamp.is_some();
    let is_observer =
        namespace == observers && labels.get(APP.0).is_some_and(|app| app.as_str() == APP.1);
    let observer = || Observer {
        place: if begun { reached(&status) } else { None },
        refused: status
            .is_unschedulable()
            .then(|| pod.spec.meant_for().map(str::to_owned))
            .flatten(),
    };
    let object = PodRecord {
        namespace: namespace.clone(),
        name: name.clone(),
        uid: metadata.uid.unwrap_or_default(),
        observer: is_observer.then(observer),
        node: pod.spec.node_name.unwrap_or_default(),
        owner: metadata.owner_references.and_then(controller),
        running: begun && !deleting,
        deleting,
        labels,
    };
    Placed {
        namespace,
        name,
        object,
    }
}

/// Where a pod that runs is.
fn reached(status: &Status) -> Option<ObserverEndpoint> {
    Some(ObserverEndpoint {
        address: status.pod_ip.as_deref()?.parse().ok()?,
        restarts: status.containers.iter().map(|one| one.restart_count).sum(),
        ready: status.containers.iter().all(|one| one.ready),
    })
}

/// The UID of the one owner that controls it.
fn controller(owners: Vec<OwnerReference>) -> Option<String> {
    let mut owners = owners.into_iter();
    let controller = owners.find(|owner| owner.controller == Some(true));
    controller.map(|owner| owner.uid)
}

pub(super) fn keep_node(node: Decoded) -> Placed<NodeRecord> {
    let mut metadata = node.metadata;
    let (namespace, name) = place(&mut metadata);
    let created = metadata.creation_timestamp.and_then(|created| {
        let seconds = u64::try_from(created.0.as_second()).ok()?;
        UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    });
    let object = NodeRecord {
        labels: metadata.labels.unwrap_or_default(),
        created,
    };
    Placed {
        namespace,
        name,
        object,
    }
}

pub(super) fn keep_workload(workload: Decoded) -> Placed<WorkloadRecord> {
    let mut metadata = workload.metadata;
    let (namespace, name) = place(&mut metadata);
    let status = workload.status.unwrap_or_default();
    let looked_at = status.observed_generation == metadata.generation;
    let deleting = metadata.deletion_timestamp.is_some();
    // Kept of the few that are asked for it.
    let is_daemon_set = status.desired_number_scheduled.is_some();
    let node_selector = if is_daemon_set {
        workload.spec.node_selector()
    } else {
        BTreeMap::new()
    };
    let object = WorkloadRecord {
        uid: metadata.uid.unwrap_or_default(),
        owner: metadata.owner_references.and_then(controller),
        labels: metadata.labels.unwrap_or_default(),
        deleting,
        pods_wanted: status
            .desired_number_scheduled
            .filter(|_| looked_at && !deleting),
        node_selector,
    };
    Placed {
        namespace,
        name,
        object,
    }
}

/// Puts what one watch tells into the shared objects.
async fn follow(
    connection: Connection,
    resource: ApiResource,
    kind: ObjectKind,
    shared: SharedObjects,
    mut take: Take,
) {
    let config = Config::default().page_size(PAGE).timeout(ONE_WATCH);
    let events = watcher::watcher(Api::all_with(connection.client, &resource), config);
    follow_events(
        kind.resource(),
        Arc::clone(&connection.answered),
        events,
        |event| {
            take(&mut shared.write(), event);
        },
    )
    .await;
}

/// Follows a watch for ever, and waits longer after each failure in a row; no
/// longer than until the API server has answered somebody.
pub(crate) async fn follow_events<K>(
    what: &'static str,
    answered: Arc<Notify>,
    events: impl Stream<Item = watcher::Result<Event<K>>>,
    mut take: impl FnMut(Event<K>),
) {
    let mut waits = WatchBackoff::new(answered);
    let mut failing = false;
    let mut events = pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                // That a list begins is the client's own word.
                if !matches!(event, Event::Init) {
                    waits.over();
                    if std::mem::take(&mut failing) {
                        tracing::info!(what, "watched again");
                    }
                }
                take(event);
            }
            Err(error) => {
                let pause = waits.after_failure();
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(what, %error, retry_in = ?pause, "failed to watch; what is known by now stays in use");
                }
                waits.rest(pause).await;
            }
        }
    }
}
