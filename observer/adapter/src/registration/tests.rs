//! APIServices through whatever order they come and go in, kept through the part
//! of an API server that stores objects.

use std::sync::Arc;

use k8s_openapi::ByteString;
use observer_node::auth::SecurityFigures;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Bundle, RegisterError, Registrar};
use crate::{
    api::{group::ApiGroups, path::WorkloadKind},
    data::objects::WorkloadRecord,
    fixtures::{NAMESPACE, Store, World, limits},
};

const SERVICES: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
const V1: &str = "v1beta1.custom.metrics.k8s.io";
const V2: &str = "v1beta2.custom.metrics.k8s.io";
const EXTERNAL: &str = "v1beta1.external.metrics.k8s.io";
const ALL: [&str; 3] = [V1, V2, EXTERNAL];
const CA: &str = "-----BEGIN CERTIFICATE-----";

/// A cluster in which the observers are installed.
struct Cluster {
    store: Store,
    world: World,
    authority: watch::Sender<Option<String>>,
}

impl Cluster {
    fn new() -> Self {
        let store = Store::default();
        let metadata = json!({"name": "go-observer", "uid": "the-role"});
        store.put(ROLES, "go-observer", json!({"kind": "ClusterRole", "apiVersion": "rbac.authorization.k8s.io/v1", "metadata": metadata}));
        Self {
            store,
            world: World::new(limits()).listed(&[]),
            authority: watch::Sender::new(Some(CA.to_owned())),
        }
    }

    /// A replica that serves these groups.
    async fn replica(&self, groups: ApiGroups) -> Registrar {
        Registrar {
            connection: self.store.connection().await,
            groups,
            namespace: NAMESPACE.to_owned(),
            service: "observer-adapter".to_owned(),
            owner: "go-observer".to_owned(),
            bundle: Bundle::Kept(self.authority.subscribe()),
            objects: self.world.objects.clone(),
            was_installed: false.into(),
            telemetry: Arc::clone(&self.world.telemetry),
            left: false.into(),
            told: std::sync::RwLock::default(),
        }
    }

    /// Whose Services the APIServices lead to, of those that there are.
    fn registered(&self) -> Vec<(&'static str, String)> {
        let all = ALL.map(|name| (name, self.store.object(SERVICES, name)));
        let there = all.into_iter().filter(|(_, it)| !it.is_null());
        there
            .map(|(name, it)| {
                let service = &it["spec"]["service"];
                let part = |part: &str| service[part].as_str().unwrap_or_default().to_owned();
                (name, format!("{}/{}", part("namespace"), part("name")))
            })
            .collect()
    }

    fn foreign(&self, name: &str, namespace: &str, service: &str) {
        let spec = json!({
            "service": {"namespace": namespace, "name": service},
            "groupPriorityMinimum": 100, "versionPriority": 100,
            "insecureSkipTLSVerify": true,
        });
        self.store.put(
            SERVICES,
            name,
            json!({"metadata": {"name": name}, "spec": spec}),
        );
    }

    fn figures(&self) -> String {
        let nodes = crate::telemetry::Nodes::default();
        let text = self
            .world
            .telemetry
            .text(nodes, &SecurityFigures::default());
        text.unwrap()
    }
}

fn ours(names: &[&'static str]) -> Vec<(&'static str, String)> {
    let at = |name: &&'static str| (*name, format!("{NAMESPACE}/observer-adapter"));
    names.iter().map(at).collect()
}

fn bundle(service: &Value) -> String {
    let bytes: ByteString = serde_json::from_value(service["spec"]["caBundle"].clone()).unwrap();
    String::from_utf8(bytes.0).unwrap()
}

#[tokio::test]
async fn what_is_served_is_registered_whole_and_goes_with_the_observers() {
    let cluster = Cluster::new();
    // By which it could be verified is not known yet.
    cluster.authority.send_replace(None);
    let replica = cluster.replica(ApiGroups::Custom).await;
    replica.keep().await.unwrap();
    assert_eq!(cluster.registered(), []);
    cluster.authority.send_replace(Some(CA.to_owned()));
    replica.keep().await.unwrap();
    assert_eq!(cluster.registered(), ours(&[V1, V2]));
    for (name, version, priority) in [(V1, "v1beta1", 100), (V2, "v1beta2", 200)] {
        let service = cluster.store.object(SERVICES, name);
        let owner = json!([{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "name": "go-observer", "uid": "the-role"}]);
        assert_eq!(service["metadata"]["ownerReferences"], owner);
        let spec = &service["spec"];
        assert_eq!(spec["group"], "custom.metrics.k8s.io");
        assert_eq!(spec["version"], version);
        assert_eq!(spec["versionPriority"], priority);
        assert_eq!(spec["service"]["port"], 443);
        assert_eq!(bundle(&service), CA);
    }
    let line = "observer_adapter_group_registered{group=\"custom.metrics.k8s.io\"} 1";
    assert!(cluster.figures().contains(line), "{}", cluster.figures());
}

#[tokio::test]
async fn one_of_ours_is_mended_wherever_it_comes_from() {
    let cluster = Cluster::new();
    let replica = cluster.replica(ApiGroups::Custom).await;
    // Applied over one that was left from another server: the two fields exclude
    // each other.
    cluster.foreign(V1, NAMESPACE, "observer-adapter");
    // Of an earlier installation, and somebody else's besides.
    cluster.foreign(V2, NAMESPACE, "observer-adapter");
    let path = format!("{SERVICES}/{V2}");
    let other = json!({"apiVersion": "v1", "kind": "Node", "name": "x", "uid": "y"});
    let before = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "name": "go-observer", "uid": "before"});
    cluster.store.0.lock().unwrap().get_mut(&path).unwrap()["metadata"]["ownerReferences"] =
        json!([before, other]);
    replica.keep().await.unwrap();
    for name in [V1, V2] {
        let service = cluster.store.object(SERVICES, name);
        assert_eq!(bundle(&service), CA, "{name}");
        assert_ne!(service["spec"]["insecureSkipTLSVerify"], true, "{name}");
        let owners = service["metadata"]["ownerReferences"]
            .as_array()
            .unwrap()
            .clone();
        let uids: Vec<_> = owners
            .iter()
            .map(|it| it["uid"].as_str().unwrap())
            .collect();
        let expected: &[_] = if name == V1 {
            &["the-role"]
        } else {
            &["y", "the-role"]
        };
        assert_eq!(uids, expected, "{name}");
    }
    // Another authority, and nothing that is right already.
    cluster.authority.send_replace(Some("another".to_owned()));
    replica.keep().await.unwrap();
    assert_eq!(bundle(&cluster.store.object(SERVICES, V1)), "another");
    let path = format!("{SERVICES}/{V1}");
    let mark = |value: &str| {
        cluster.store.0.lock().unwrap().get_mut(&path).unwrap()["spec"]["versionPriority"] =
            json!(value.len());
    };
    mark("abc");
    replica.keep().await.unwrap();
    assert_eq!(
        cluster.store.object(SERVICES, V1)["spec"]["versionPriority"],
        3
    );
}

#[tokio::test]
async fn a_group_of_another_is_never_taken() {
    for theirs in [V1, V2] {
        for installed_before in [false, true] {
            let cluster = Cluster::new();
            let replica = cluster.replica(ApiGroups::Both).await;
            if installed_before {
                replica.keep().await.unwrap();
            }
            cluster.foreign(theirs, "monitoring", "prometheus-adapter");
            let before = cluster.store.object(SERVICES, theirs);
            for _ in 0..2 {
                replica.keep().await.unwrap();
            }
            let at = "monitoring/prometheus-adapter".to_owned();
            let mut expected = vec![(theirs, at)];
            expected.extend(ours(&[EXTERNAL]));
            // Autoscalers would be led to either otherwise.
            assert_eq!(cluster.registered(), expected);
            assert_eq!(cluster.store.object(SERVICES, theirs), before);
            let text = cluster.figures();
            for line in [
                "observer_adapter_group_registered{group=\"custom.metrics.k8s.io\"} 0",
                "observer_adapter_group_registered{group=\"external.metrics.k8s.io\"} 1",
            ] {
                assert!(text.contains(line), "{text}");
            }
            // It is uninstalled.
            let path = format!("{SERVICES}/{theirs}");
            cluster.store.0.lock().unwrap().remove(&path);
            replica.keep().await.unwrap();
            assert_eq!(cluster.registered(), ours(&ALL));
        }
    }
}

#[tokio::test]
async fn a_switch_there_and_back_leaves_nothing() {
    let cluster = Cluster::new();
    for (groups, expected) in [
        (ApiGroups::Custom, &[V1, V2][..]),
        (ApiGroups::External, &[EXTERNAL]),
        (ApiGroups::Custom, &[V1, V2]),
        (ApiGroups::Both, &ALL),
        (ApiGroups::External, &[EXTERNAL]),
    ] {
        let replica = cluster.replica(groups).await;
        replica.keep().await.unwrap();
        assert_eq!(cluster.registered(), ours(expected), "{groups:?}");
    }
    // What another serves is not ours to take away.
    cluster.foreign(V1, "monitoring", "prometheus-adapter");
    let replica = cluster.replica(ApiGroups::External).await;
    replica.keep().await.unwrap();
    assert_eq!(cluster.registered().len(), 2);
}

#[tokio::test]
async fn nothing_comes_back_once_it_is_uninstalled() {
    let cluster = Cluster::new();
    let replica = cluster.replica(ApiGroups::Both).await;
    replica.keep().await.unwrap();
    // What they go away with goes first: they would stay for ever.
    let role = format!("{ROLES}/go-observer");
    let object = cluster.store.0.lock().unwrap().remove(&role).unwrap();
    for name in ALL {
        let path = format!("{SERVICES}/{name}");
        cluster.store.0.lock().unwrap().remove(&path);
    }
    let error = replica.keep().await.unwrap_err();
    assert!(matches!(error, RegisterError::NoOwner(_)), "{error}");
    assert_eq!(cluster.registered(), []);
    let mut leaving = object.clone();
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    cluster.store.put(ROLES, "go-observer", leaving);
    assert!(replica.keep().await.is_err());
    cluster.store.put(ROLES, "go-observer", object);
    replica.keep().await.unwrap();
    assert_eq!(cluster.registered(), ours(&ALL));

    cluster.foreign(EXTERNAL, "monitoring", "prometheus-adapter");
    replica.withdraw().await.unwrap();
    replica.keep().await.unwrap();
    let left = cluster.registered();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0].0, EXTERNAL);
}

#[tokio::test]
async fn a_replica_that_ends_leaves_only_with_its_deployment() {
    let cluster = Cluster::new();
    let deployment = |deleting| {
        let workload = WorkloadRecord {
            deleting,
            ..WorkloadRecord::default()
        };
        let kind = WorkloadKind::Deployment;
        cluster
            .world
            .workload(kind, NAMESPACE, "observer-adapter", workload);
    };
    // Installed in some other way, of which nothing is known.
    let stranger = cluster.replica(ApiGroups::Custom).await;
    stranger.keep().await.unwrap();
    stranger.leave_if_uninstalled().await;
    assert_eq!(cluster.registered(), ours(&[V1, V2]));

    deployment(false);
    let replica = cluster.replica(ApiGroups::Custom).await;
    replica.keep().await.unwrap();
    replica.leave_if_uninstalled().await;
    assert_eq!(cluster.registered(), ours(&[V1, V2]));
    deployment(true);
    replica.leave_if_uninstalled().await;
    assert_eq!(cluster.registered(), []);
}
