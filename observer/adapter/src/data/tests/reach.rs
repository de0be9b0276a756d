//! Which nodes an observer can tell of, and what is said of the others.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use observer_node::auth::SecurityFigures;

use super::whose::{SHOP, WEB, why};
use crate::{
    data::{
        objects::{Observer, ObserverEndpoint},
        observers::Reach,
    },
    fixtures::{Caller, FakeNode, Front, NAMESPACE, World, limits, shop},
    telemetry::Nodes,
};

/// A Deployment with a pod on a node with an observer, and one on another.
async fn two_nodes() -> (World, FakeNode, Caller) {
    let world = World::new(limits()).listed(&["a"]);
    let arm = [
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", "arm64"),
    ];
    world.node("b", &arm);
    let node = FakeNode::start(&world, 0, "a", &[("web-0", "app", 10)]).await;
    world.deployment("web", "web");
    world.deployment("far", "far");
    world.shop("web-0", "a", "web");
    world.shop("web-1", "b", "web");
    world.shop("far-0", "b", "far");
    let jane = Front::start(&world).await.jane();
    (world, node, jane)
}

#[tokio::test]
async fn what_no_observer_can_tell_of_is_left_out_and_said() {
    let (world, _node, jane) = two_nodes().await;
    world.daemon_set(Some(1));
    for path in [WEB, SHOP] {
        assert_eq!(jane.values(path).await.unwrap()[0].1, "10", "{path}");
    }
    for path in [
        "/namespaces/shop/deployments.apps/far/go_goroutines",
        "/namespaces/shop/pods/web-1/go_goroutines",
        "/nodes/b/go_goroutines",
    ] {
        let why = why(&jane, path).await;
        let expected = "can have no observer: b (linux/arm64";
        assert!(why.contains(expected), "{path}: {why}");
    }
    let nodes = Nodes {
        unreachable: 0,
        without_observer: world.values().nodes_without_observer() as u64,
    };
    let text = world.telemetry.text(nodes, &SecurityFigures::default());
    let text = text.unwrap();
    for line in [
        "observer_adapter_nodes_without_observer 1",
        // One of the Deployment; it and that of the other, of the namespace.
        "observer_adapter_pods_left_out_total 3",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn a_node_that_may_get_an_observer_is_not_left_out() {
    let (world, _node, jane) = two_nodes().await;
    // No DaemonSet tells; it has not looked yet; it wants one more.
    for wanted in [None, Some(None), Some(Some(2))] {
        if let Some(wanted) = wanted {
            world.daemon_set(wanted);
        }
        for path in [WEB, SHOP, "/nodes/b/go_goroutines"] {
            let why = why(&jane, path).await;
            assert!(
                why.contains("node b has no observer yet"),
                "{wanted:?}: {why}"
            );
        }
    }
    let observer = |observer: Observer, node: &str| {
        let mut pod = shop("observer-b", node, "observer");
        pod.namespace = NAMESPACE.to_owned();
        pod.observer = Some(observer);
        world.pod(pod);
    };
    // It is there and does not run.
    observer(Observer::default(), "b");
    let said = why(&jane, WEB).await;
    assert!(said.contains("the observer of node b gives no"), "{said}");
    // There is no room for it.
    let refused = Observer {
        refused: Some("b".to_owned()),
        ..Observer::default()
    };
    observer(refused, "");
    assert_eq!(jane.values(WEB).await.unwrap()[0].1, "10");
    let said = why(&jane, "/nodes/b/go_goroutines").await;
    assert!(said.contains("b (no room for its pod)"), "{said}");
}

/// A cluster that scales up has more pods before its DaemonSets count more nodes.
#[test]
fn a_node_that_no_daemon_set_can_have_counted_yet_is_awaited() {
    let world = World::new(limits()).listed(&["a"]);
    let amd64 = [("kubernetes.io/arch", "amd64")];
    let arm64 = [("kubernetes.io/arch", "arm64")];
    world.daemon_set_for(&amd64, Some(1));
    let now = SystemTime::now();
    let reach = |labels: &[(&str, &str)], created: SystemTime| {
        world.node_since("b", labels, created);
        let objects = world.objects.read();
        objects.observers(NAMESPACE).reach("b")
    };
    let minutes = |minutes| Duration::from_mins(minutes);
    assert_eq!(reach(&amd64, now), Reach::Awaited);
    // By a clock that is some seconds ahead.
    let ahead = now + Duration::from_secs(20);
    assert_eq!(reach(&amd64, ahead), Reach::Awaited);
    // For long enough, by any clock; and what none of them would ever count.
    for (labels, created) in [
        (&amd64, now - minutes(2)),
        (&amd64, now + minutes(60)),
        (&arm64, now),
    ] {
        let reach = reach(labels, created);
        assert!(matches!(reach, Reach::Beyond(_)), "{labels:?}: {reach:?}");
    }
    // It has been counted.
    world.daemon_set_for(&amd64, Some(2));
    assert_eq!(reach(&amd64, now - minutes(2)), Reach::Awaited);
}

/// Also where a DaemonSet makes a pod for it.
#[test]
fn a_node_of_an_architecture_without_an_image_is_left_out_and_said() {
    let world = World::new(limits()).listed(&["a"]);
    // It wants one more than there are.
    world.daemon_set(Some(2));
    let reach = |arch: &str| {
        world.node(
            "b",
            &[("kubernetes.io/os", "linux"), ("kubernetes.io/arch", arch)],
        );
        let objects = world.objects.read();
        objects.observers(NAMESPACE).reach("b")
    };
    for arch in ["amd64", "arm64"] {
        assert_eq!(reach(arch), Reach::Awaited, "{arch}");
    }
    let said = "linux/s390x, for which there is no image";
    assert_eq!(reach("s390x"), Reach::Beyond(said.to_owned()));
    let mut pod = shop("observer-b", "b", "observer");
    pod.namespace = NAMESPACE.to_owned();
    pod.observer = Some(Observer::default());
    world.pod(pod);
    assert_eq!(reach("s390x"), Reach::Beyond(said.to_owned()));
    assert_eq!(reach("arm64"), Reach::Silent);
}

#[tokio::test]
async fn what_is_left_out_is_said_beside_what_else_lacks() {
    let (world, _node, jane) = two_nodes().await;
    world.daemon_set(Some(1));
    // Of the pod that an observer could tell of, nothing is known.
    world.gone("web-0");
    world.shop("web-2", "a", "web");
    let said = why(&jane, WEB).await;
    assert!(said.contains("no Go process is known"), "{said}");
    assert!(said.contains("left out: b (linux/arm64"), "{said}");
}

#[test]
fn of_two_observers_on_a_node_the_one_that_is_ready_and_stays_is_asked() {
    let world = World::new(limits()).listed(&[]);
    world.node("a", &[]);
    let pod = |name: &str, last: u8, ready: bool, deleting: bool| {
        let mut pod = shop(name, "a", "observer");
        pod.namespace = NAMESPACE.to_owned();
        pod.deleting = deleting;
        pod.running = !deleting;
        let mut place = ObserverEndpoint::from(IpAddr::from([10, 0, 0, last]));
        place.ready = ready;
        pod.observer = Some(Observer {
            place: Some(place),
            refused: None,
        });
        world.pod(pod);
    };
    let asked = || match world.objects.read().observers(NAMESPACE).reach("a") {
        Reach::At(place) => place.address.to_string(),
        other => panic!("{other:?}"),
    };
    pod("old", 1, true, false);
    pod("new", 2, false, false);
    assert_eq!(asked(), "10.0.0.1");
    pod("new", 2, true, false);
    pod("old", 1, true, true);
    assert_eq!(asked(), "10.0.0.2");
    // Better than nothing.
    pod("new", 2, false, false);
    assert_eq!(asked(), "10.0.0.1");
}
