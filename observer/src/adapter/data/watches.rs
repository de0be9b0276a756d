//! The watches that keep [`Objects`] as the API server has them.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    pin::pin,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::{Stream, StreamExt};
use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet},
        core::v1::{Node, Pod as ApiPod},
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};
use kube::{
    Api,
    runtime::watcher::{self, Config, Event},
};
use serde::de::DeserializeOwned;
use tokio::{sync::Notify, task::JoinSet};

use super::{
    objects::{Objects, Place, Pod, Workload},
    table::{Placed, Table},
};
use crate::{
    adapter::api::{path::WorkloadKind, selector::Selector},
    kube::{Connection, rest},
};

/// The waits between tries, as the node's: a second, doubled each time, and up
/// to as much again by chance. At most 300 s.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(150);
/// Objects decoded at once, which bounds the memory that a list takes.
const PAGE: u32 = 500;
/// How long the server keeps one watch, and with it, how long a connection
/// that died without a word is taken for alive.
const ONE_WATCH: u32 = 120;
/// The label that observers of nodes bear.
pub(super) const APP: (&str, &str) = ("app.kubernetes.io/name", "observer");

/// What is known of the cluster, shared.
#[derive(Clone, Debug, Default)]
pub struct Shared(Arc<RwLock<Objects>>);

impl Shared {
    /// To look something up.
    pub fn read(&self) -> RwLockReadGuard<'_, Objects> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// To change what is known.
    pub fn write(&self) -> RwLockWriteGuard<'_, Objects> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches everything that values are of, until the set is dropped. Of pods in
/// `observers` that are observers their addresses are kept.
pub fn watch(connection: &Connection, observers: &str) -> (Shared, JoinSet<()>) {
    let shared = Shared::default();
    let mut tasks = JoinSet::new();
    let namespace = observers.to_owned();
    let keep = move |pod| keep_pod(pod, &namespace);
    let Connection { client, answered } = connection;
    let api = Api::<ApiPod>::all(client.clone());
    tasks.spawn(follow(
        "pods",
        api,
        Arc::clone(answered),
        shared.clone(),
        move |objects, event| {
            objects.pods.take(event, &keep);
        },
    ));
    let api = Api::<Node>::all(client.clone());
    tasks.spawn(follow(
        "nodes",
        api,
        Arc::clone(answered),
        shared.clone(),
        |objects, event| {
            objects.nodes.take(event, keep_node);
        },
    ));
    workloads::<Deployment>(
        connection,
        &shared,
        &mut tasks,
        WorkloadKind::Deployment,
        |it| (it.metadata, it.spec.map(|spec| spec.selector)),
    );
    workloads::<StatefulSet>(
        connection,
        &shared,
        &mut tasks,
        WorkloadKind::StatefulSet,
        |it| (it.metadata, it.spec.map(|spec| spec.selector)),
    );
    workloads::<ReplicaSet>(
        connection,
        &shared,
        &mut tasks,
        WorkloadKind::ReplicaSet,
        |it| (it.metadata, it.spec.map(|spec| spec.selector)),
    );
    workloads::<DaemonSet>(
        connection,
        &shared,
        &mut tasks,
        WorkloadKind::DaemonSet,
        |it| (it.metadata, it.spec.map(|spec| spec.selector)),
    );
    (shared, tasks)
}

fn workloads<K>(
    connection: &Connection,
    shared: &Shared,
    tasks: &mut JoinSet<()>,
    kind: WorkloadKind,
    parts: fn(K) -> (ObjectMeta, Option<LabelSelector>),
) where
    K: kube::Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let api = Api::<K>::all(connection.client.clone());
    let resource = crate::adapter::api::path::Kind::Workload(kind).resource();
    tasks.spawn(follow(
        resource,
        api,
        Arc::clone(&connection.answered),
        shared.clone(),
        move |objects, event| {
            let table: &mut Table<Workload> = objects.workloads.entry(kind).or_default();
            table.take(event, |object| {
                let (metadata, selector) = parts(object);
                keep_workload(metadata, selector)
            });
        },
    ));
}

fn place(metadata: &mut ObjectMeta) -> (String, String) {
    let namespace = metadata.namespace.take().unwrap_or_default();
    (namespace, metadata.name.take().unwrap_or_default())
}

pub(super) fn keep_pod(pod: ApiPod, observers: &str) -> Placed<Pod> {
    let mut metadata = pod.metadata;
    let (namespace, name) = place(&mut metadata);
    let labels: BTreeMap<_, _> = metadata.labels.unwrap_or_default();
    let status = pod.status.unwrap_or_default();
    let observer =
        namespace == observers && labels.get(APP.0).is_some_and(|app| app.as_str() == APP.1);
    let place = || {
        let containers = status.container_statuses.as_deref().unwrap_or_default();
        Some(Place {
            address: status.pod_ip.as_deref()?.parse().ok()?,
            restarts: containers.iter().map(|one| one.restart_count).sum(),
            ready: containers.iter().all(|one| one.ready),
        })
    };
    let kept = Pod {
        namespace: namespace.clone(),
        name: name.clone(),
        uid: metadata.uid.unwrap_or_default(),
        node: pod.spec.and_then(|spec| spec.node_name).unwrap_or_default(),
        place: if observer { place() } else { None },
        running: status.phase.as_deref() == Some("Running"),
        labels,
    };
    (namespace, name, kept)
}

fn keep_node(node: Node) -> Placed<BTreeMap<String, String>> {
    let mut metadata = node.metadata;
    let (namespace, name) = place(&mut metadata);
    (namespace, name, metadata.labels.unwrap_or_default())
}

fn keep_workload(mut metadata: ObjectMeta, selector: Option<LabelSelector>) -> Placed<Workload> {
    let (namespace, name) = place(&mut metadata);
    let kept = Workload {
        labels: metadata.labels.unwrap_or_default(),
        pods: selector.and_then(|selector| Selector::of(selector).ok()),
    };
    (namespace, name, kept)
}

/// Puts what one watch tells into the shared objects.
async fn follow<K>(
    what: &'static str,
    api: Api<K>,
    answered: Arc<Notify>,
    shared: Shared,
    mut take: impl FnMut(&mut Objects, Event<K>) + Send,
) where
    K: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let config = Config::default().page_size(PAGE).timeout(ONE_WATCH);
    let events = watcher::watcher(api, config);
    follow_events(what, &answered, events, |event| {
        take(&mut shared.write(), event)
    })
    .await;
}

/// Follows a watch for ever, and waits longer after each failure in a row; no
/// longer than until the API server has answered somebody.
pub async fn follow_events<K>(
    what: &'static str,
    answered: &Notify,
    events: impl Stream<Item = watcher::Result<Event<K>>>,
    mut take: impl FnMut(Event<K>),
) {
    let waits = ExponentialBuilder::default()
        .with_min_delay(FIRST_WAIT)
        .with_max_delay(LONGEST_WAIT)
        .with_jitter()
        .without_max_times();
    let mut wait = waits.build();
    let mut failing = false;
    let mut events = pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                // That a list begins is the client's own word.
                if !matches!(event, Event::Init) {
                    wait = waits.build();
                    if std::mem::take(&mut failing) {
                        tracing::info!(what, "watched again");
                    }
                }
                take(event);
            }
            Err(error) => {
                let pause = wait.next().unwrap_or(LONGEST_WAIT);
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(what, %error, retry_in = ?pause, "cannot watch; what is known by now holds");
                }
                if rest(pause, answered).await {
                    // It may refuse a few more until it has started.
                    wait = waits.build();
                }
            }
        }
    }
}
