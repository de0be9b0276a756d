//! Whose pods count, and what is said of an object without a value.

use std::time::{Duration, SystemTime};

use serde_json::{Value, from_value, json};

use super::names;
use crate::{
    api::path::WorkloadKind,
    data::{
        decoded::Decoded,
        objects::{Observer, WorkloadRecord},
        watches::{keep_node, keep_pod, keep_workload},
    },
    fixtures::{Caller, FakeNode, Front, NAMESPACE, World, limits, shop},
};

pub(super) const WEB: &str = "/namespaces/shop/deployments.apps/web/go_goroutines";
pub(super) const SHOP: &str = "/namespaces/shop/metrics/go_goroutines";

/// Why there is no value.
pub(super) async fn why(caller: &Caller, path: &str) -> String {
    let path = format!("/apis/custom.metrics.k8s.io/v1beta2{path}");
    let (status, body) = caller.get(&path).await;
    assert_eq!(status, 404, "{path}: {body}");
    body["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn pods_are_their_owners_whatever_their_labels() {
    let world = World::new(limits()).listed(&["a"]);
    let told = [
        ("web-0", "app", 10),
        ("web-1", "app", 20),
        ("old-0", "app", 400),
        ("set-0", "app", 5000),
        ("loose", "app", 60000),
    ];
    let _node = FakeNode::start(&world, 0, "a", &told).await;
    world.deployment("web", "web");
    world.deployment("canary", "canary");
    let set = WorkloadRecord {
        uid: "the-set".to_owned(),
        ..WorkloadRecord::default()
    };
    world.workload(WorkloadKind::StatefulSet, "shop", "db", set);
    // All bear the labels that both Deployments select.
    let pod = |name, owner: Option<&str>| {
        let mut pod = shop(name, "a", "web");
        pod.owner = owner.map(str::to_owned);
        world.pod(pod);
    };
    pod("web-0", Some("web-5d9c"));
    pod("web-1", Some("canary-5d9c"));
    // Of a ReplicaSet that nothing controls; and of nobody.
    pod("old-0", Some("orphan"));
    pod("set-0", Some("the-set"));
    pod("loose", None);
    let orphan = WorkloadRecord {
        uid: "orphan".to_owned(),
        ..WorkloadRecord::default()
    };
    world.workload(WorkloadKind::ReplicaSet, "shop", "orphan", orphan);
    let jane = Front::start(&world).await.jane();
    for (kind, expected) in [
        ("deployments.apps", vec![("canary", "20"), ("web", "10")]),
        (
            "replicasets.apps",
            vec![("canary-5d9c", "20"), ("orphan", "400"), ("web-5d9c", "10")],
        ),
        ("statefulsets.apps", vec![("db", "5k")]),
        ("daemonsets.apps", vec![]),
    ] {
        let path = format!("/namespaces/shop/{kind}/*/go_goroutines");
        let found = jane.values(&path).await.unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        assert_eq!(found, expected, "{kind}");
        for (name, value) in expected {
            let path = format!("/namespaces/shop/{kind}/{name}/go_goroutines");
            let found = jane.values(&path).await.unwrap();
            assert_eq!(found, [(name.to_owned(), value.to_owned())], "{path}");
        }
    }
    for (selector, expected) in [
        ("go-observer%2Fdeployment%3Dweb", "10"),
        ("go-observer%2Freplicaset%3Dorphan", "400"),
        (
            "!go-observer%2Fdeployment,!go-observer%2Fstatefulset",
            "60400",
        ),
    ] {
        let path = format!(
            "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/go_goroutines?labelSelector={selector}"
        );
        let (_, body) = jane.get(&path).await;
        assert_eq!(body["items"][0]["value"], expected, "{selector}: {body}");
    }
}

fn decoded(object: Value) -> Decoded {
    from_value(object).unwrap()
}

#[test]
fn what_is_kept_of_an_object_is_what_decides() {
    let pod = |metadata: Value, spec: Value, status: Value| {
        let object = json!({"metadata": metadata, "spec": spec, "status": status});
        keep_pod(decoded(object), NAMESPACE).object
    };
    let owners = json!([
        {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "no"},
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "yes", "controller": true},
    ]);
    let running = json!({"phase": "Running", "podIP": "10.0.0.1"});
    let metadata = json!({"name": "a", "namespace": "b", "ownerReferences": owners});
    let kept = pod(metadata.clone(), json!({"nodeName": "n"}), running.clone());
    assert_eq!(kept.owner.as_deref(), Some("yes"));
    assert!(kept.running && !kept.deleting && kept.observer.is_none());
    let mut deleted = metadata;
    deleted["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let kept = pod(deleted, json!({"nodeName": "n"}), running.clone());
    assert!(!kept.running && kept.deleting);

    let labels = json!({"app.kubernetes.io/name": "observer"});
    let metadata = json!({"name": "o", "namespace": NAMESPACE, "labels": labels});
    let kept = pod(metadata.clone(), json!({"nodeName": "n"}), running);
    assert!(kept.observer.unwrap().place.is_some());
    let meant = json!({"affinity": {"nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]},
        ]},
    }}});
    let condition = |reason| {
        json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": reason},
        ]})
    };
    let kept = pod(metadata.clone(), meant.clone(), condition("Unschedulable"));
    assert_eq!(kept.observer.unwrap().refused.as_deref(), Some("n"));
    // It will be, in a moment.
    let kept = pod(metadata, meant, condition("SchedulingGated"));
    assert_eq!(kept.observer, Some(Observer::default()));

    let set = |generation: i64, observed: Option<i64>, deletion: Option<&str>| {
        let object = json!({
            "metadata": {"name": "o", "namespace": NAMESPACE, "uid": "u", "generation": generation, "deletionTimestamp": deletion},
            "spec": {},
            "status": {"desiredNumberScheduled": 3, "observedGeneration": observed},
        });
        keep_workload(decoded(object)).object.pods_wanted
    };
    assert_eq!(set(2, Some(2), None), Some(3));
    assert_eq!(set(2, Some(1), None), None);
    assert_eq!(set(1, None, None), None);
    assert_eq!(set(2, Some(2), Some("2026-01-01T00:00:00Z")), None);

    let asked = json!({"kubernetes.io/arch": "amd64"});
    let set = json!({
        "metadata": {"name": "o", "namespace": NAMESPACE},
        "spec": {"template": {"spec": {"nodeSelector": asked.clone()}}},
        "status": {"desiredNumberScheduled": 3},
    });
    let kept = keep_workload(decoded(set)).object;
    assert_eq!(json!(kept.node_selector), asked);
    let node = json!({
        "metadata": {
            "name": "n",
            "labels": asked.clone(),
            "creationTimestamp": "1970-01-02T00:00:00Z",
        },
        "spec": {},
    });
    let kept = keep_node(decoded(node)).object;
    let day = Duration::from_hours(24);
    assert_eq!(kept.created, Some(SystemTime::UNIX_EPOCH + day));
    assert_eq!(json!(kept.labels), asked);
}

#[tokio::test]
async fn a_pod_that_is_being_deleted_does_not_count() {
    let world = World::new(limits()).listed(&["a"]);
    let told = [("web-0", "app", 10), ("web-1", "app", 20)];
    let _node = FakeNode::start(&world, 0, "a", &told).await;
    world.deployment("web", "web");
    world.shop("web-0", "a", "web");
    let mut leaving = shop("web-1", "a", "web");
    leaving.deleting = true;
    leaving.running = false;
    world.pod(leaving.clone());
    let jane = Front::start(&world).await.jane();
    for path in [WEB, SHOP, "/nodes/a/go_goroutines"] {
        assert_eq!(jane.values(path).await.unwrap()[0].1, "10", "{path}");
    }
    assert_eq!(names(jane.values(super::ALL).await), ["web-0"]);
    world.gone("web-0");
    let why = why(&jane, WEB).await;
    assert!(
        why.contains("no running pod; one that is being deleted"),
        "{why}"
    );
}

#[tokio::test]
async fn every_absence_has_its_reason() {
    let world = World::new(limits()).listed(&["a"]);
    let _node = FakeNode::start(&world, 0, "a", &[("web-0", "app", 10)]).await;
    world.deployment("web", "web");
    world.shop("web-0", "a", "web");
    world.shop("plain", "a", "plain");
    let mut pending = shop("pending", "", "plain");
    pending.running = false;
    world.pod(pending);
    let jane = Front::start(&world).await.jane();
    for (path, expected) in [
        (
            "/namespaces/shop/pods/web-0/other",
            "no metric of this name",
        ),
        (
            "/namespaces/shop/pods/nobody/go_goroutines",
            "no such object",
        ),
        (
            "/namespaces/shop/pods/pending/go_goroutines",
            "no running pod",
        ),
        ("/namespaces/empty/metrics/go_goroutines", "no running pod"),
        ("/namespaces/shop/pods/plain/go_goroutines", "no Go process"),
        // A pod that has just begun, and with it its Deployment.
        (
            "/namespaces/shop/deployments.apps/web/go_gc_pause_ratio",
            "container app of pod web-0 was observed only once yet",
        ),
        (
            "/namespaces/shop/pods/web-0/go_heap_limit_ratio",
            "what it is a share of is zero",
        ),
    ] {
        let why = why(&jane, path).await;
        assert!(why.contains(expected), "{path}: {why}");
    }
}
