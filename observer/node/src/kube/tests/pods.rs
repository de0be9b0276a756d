use std::sync::Arc;

use observer_go::discover::{Container, Runtime};
use serde_json::{Value, json};

use super::{OTHER_UID, UID, decoded, id, index, pod, running};
use crate::{
    exclude::ExclusionRules,
    kube::{
        pod::{self, Record},
        pod_index::{PodIndex, Pods},
    },
    node::PodWatch,
};

fn workload(labels: &Value, owners: &Value) -> Option<(String, String)> {
    let mut pod = pod("p", UID, &id('a'));
    pod["metadata"]["labels"] = labels.clone();
    pod["metadata"]["ownerReferences"] = owners.clone();
    let record = Record::of(decoded(&pod), &ExclusionRules::default()).unwrap();
    let workload = record.pod.workload.clone()?;
    Some((workload.kind, workload.name))
}

#[test]
fn the_workload_is_what_controls_the_pod() {
    let owner = |kind: &str, name: &str, controller: bool| json!({"apiVersion": "x/v1", "kind": kind, "name": name, "uid": UID, "controller": controller});
    let hash = json!({"pod-template-hash": "7d9c6f9b5d"});
    let found = |labels: &Value, owners: Value| workload(labels, &owners);
    let is = |kind: &str, name: &str| Some((kind.to_owned(), name.to_owned()));
    assert_eq!(
        found(
            &hash,
            json!([owner("ReplicaSet", "web-front-7d9c6f9b5d", true)])
        ),
        is("Deployment", "web-front")
    );
    // A ReplicaSet of its own: no template hash, another hash, nothing before it.
    for (labels, name) in [
        (json!({}), "web-7d9c6f9b5d"),
        (hash.clone(), "web-1234567890"),
        (hash.clone(), "web7d9c6f9b5d"),
        (hash.clone(), "-7d9c6f9b5d"),
    ] {
        assert_eq!(
            found(&labels, json!([owner("ReplicaSet", name, true)])),
            is("ReplicaSet", name)
        );
    }
    for kind in ["StatefulSet", "DaemonSet", "Job", "Node", "Rollout"] {
        assert_eq!(
            found(&hash, json!([owner(kind, "db-7d9c6f9b5d", true)])),
            is(kind, "db-7d9c6f9b5d")
        );
    }
    assert_eq!(
        found(
            &hash,
            json!([owner("Config", "c", false), owner("Job", "j", true)])
        ),
        is("Job", "j")
    );
    assert_eq!(found(&hash, json!([owner("Config", "c", false)])), None);
    assert_eq!(found(&hash, json!([])), None);
}

/// What a pod says of its owner is not checked by the API server: text of any
/// kind is taken for what it is, and none that no object can have.
#[test]
fn a_pod_cannot_be_given_a_boundless_owner() {
    let owned = |kind: &str, name: &str| {
        let owner = json!([{"apiVersion": "x/v1", "kind": kind, "name": name, "uid": UID, "controller": true}]);
        workload(&json!({}), &owner)
    };
    let is = |kind: &str, name: &str| Some((kind.to_owned(), name.to_owned()));
    let html = "<img src=x onerror=alert(1)>";
    assert_eq!(owned(html, html), is(html, html));
    let (kind, name) = ("k".repeat(63), "n".repeat(253));
    assert_eq!(owned(&kind, &name), is(&kind, &name));
    assert_eq!(owned(&kind, &"n".repeat(4096)), None);
    assert_eq!(owned(&"k".repeat(4096), &name), None);
}

#[test]
fn ids_have_the_scheme_of_their_runtime() {
    let hash = id('c');
    for scheme in ["containerd", "cri-o", "docker"] {
        assert_eq!(pod::id(&format!("{scheme}://{hash}")), Some(hash.clone()));
    }
    for text in ["", "containerd://", hash.as_str()] {
        assert_eq!(pod::id(text), None, "{text:?}");
    }
}

fn find(index: &PodIndex, id: &str, pod_uid: Option<&str>) -> Option<(String, String)> {
    let container = Container {
        id: id.to_owned(),
        runtime: Runtime::Containerd,
        pod_uid: pod_uid.map(str::to_owned),
    };
    let of = &index.find(&container)?.of;
    Some((of.pod.name.clone(), of.name.clone()))
}

#[test]
fn every_kind_of_container_is_found_by_its_id() {
    let mut pod = pod("checkout-1", UID, &id('a'));
    let status = &mut pod["status"];
    status["initContainerStatuses"] = json!([running("migrate", &id('b'))]);
    status["ephemeralContainerStatuses"] = json!([running("debug", &id('c'))]);
    // Restarted: the one before, and one that is not there yet.
    let mut restarted = running("server", &id('d'));
    restarted["lastState"] =
        json!({"terminated": {"exitCode": 2, "containerID": format!("containerd://{}", id('e'))}});
    let waiting = json!({
        "name": "late", "ready": false, "restartCount": 0, "image": "i", "imageID": "",
        "state": {"waiting": {"reason": "ContainerCreating"}},
    });
    status["containerStatuses"] = json!([restarted, waiting]);
    let index = index(&[&pod]);
    let at = |letter| find(&index, &id(letter), Some(UID));
    let named = |name: &str| Some(("checkout-1".to_owned(), name.to_owned()));
    assert_eq!(at('b'), named("migrate"));
    assert_eq!(at('c'), named("debug"));
    assert_eq!(at('d'), named("server"));
    assert_eq!(at('e'), named("server"));
    assert!(index.runs(&id('d')) && !index.runs(&id('e')));
    // The pod's UID alone names no container: its status has yet to tell.
    assert_eq!(at('f'), None);
}

#[test]
fn a_static_pod_is_known_by_its_manifest() {
    let hash = "f3b0c44298fc1c149afbf4c8996fb924";
    let mut mirror = pod("etcd-node-a", UID, &id('a'));
    mirror["metadata"]["annotations"] = json!({
        "kubernetes.io/config.hash": hash, "kubernetes.io/config.mirror": hash,
        "kubernetes.io/config.source": "file", "kubernetes.io/config.seen": "2026-01-01T00:00:00Z",
    });
    let index = index(&[&mirror]);
    let found = Some(("etcd-node-a".to_owned(), "server".to_owned()));
    assert_eq!(find(&index, &id('a'), Some(hash)), found);
    assert_eq!(find(&index, &id('a'), None), found);
    assert_eq!(find(&index, &id('a'), Some(UID)), None);
}

#[test]
fn a_container_in_another_pods_cgroup_is_nobodys() {
    let index = index(&[&pod("checkout-1", UID, &id('a'))]);
    assert_eq!(find(&index, &id('a'), Some(OTHER_UID)), None);
    assert!(
        find(&index, &id('a'), None).is_some(),
        "the path names none"
    );
}

/// Whether the container is known, and that its pod is gone.
fn is_gone(index: &PodIndex, id: &str) -> bool {
    index.container(id).is_some() && !index.runs(id)
}

#[test]
fn what_a_list_lacks_is_gone_and_remembered_for_a_while() {
    let mut pods = Pods::default();
    pods.begin();
    pods.apply(decoded(&pod("one", UID, &id('a'))));
    pods.apply(decoded(&pod("two", OTHER_UID, &id('b'))));
    pods.listed();
    // The watch was lost, and with it the deletion of the first.
    pods.begin();
    pods.apply(decoded(&pod("two", OTHER_UID, &id('b'))));
    assert!(
        pods.index(PodWatch::default(), Arc::default())
            .runs(&id('a'))
    );
    pods.listed();
    pods.forget();
    let index = pods.index(PodWatch::default(), Arc::default());
    assert_eq!(index.watch.pods, 1);
    assert!(is_gone(&index, &id('a')));
    assert!(find(&index, &id('a'), Some(UID)).is_some());
    assert!(index.runs(&id('b')));
    pods.delete(decoded(&pod("two", OTHER_UID, &id('b'))));
    assert!(is_gone(
        &pods.index(PodWatch::default(), Arc::default()),
        &id('b')
    ));
}

#[test]
fn pods_that_come_and_go_do_not_fill_the_memory() {
    let mut pods = Pods::default();
    for n in 0..5000 {
        let uid = format!("{n:08}-0000-4000-8000-000000000000");
        pods.delete(decoded(&pod("job", &uid, &format!("{n:064}"))));
    }
    pods.forget();
    let index = pods.index(PodWatch::default(), Arc::default());
    let known = |n: u32| is_gone(&index, &format!("{n:064}"));
    assert!(!known(0) && known(4999));
    let kept = (0..5000).filter(|n| known(*n)).count();
    assert!((1000..=2048).contains(&kept), "{kept}");
}
