//! Nodes that fail, are slow, or tell of pods that are gone.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::stream;
use k8s_openapi::api::core::v1::Node as ApiNode;
use kube::runtime::watcher::Error;
use observer_node::auth::SecurityFigures;
use tokio::{sync::Notify, time::timeout};

use super::{
    fan_out::{FanOut, FanOutLimits},
    watches::follow_events,
};
use crate::{
    fixtures::{FakeNode, Front, World, address, figures, limits},
    telemetry::Nodes,
};

mod reach;
mod whose;

const ALL: &str = "/namespaces/shop/pods/*/go_goroutines";

fn names(values: Result<Vec<(String, String)>, u16>) -> Vec<String> {
    values.unwrap().into_iter().map(|(name, _)| name).collect()
}

#[tokio::test]
async fn a_node_that_fails_is_left_out_and_stalls_nobody() {
    let world = World::new(limits()).listed(&["a", "b"]);
    let _a = FakeNode::start(&world, 0, "a", &[("web-0", "app", 10)]).await;
    world.shop("web-0", "a", "web");
    world.shop("web-1", "b", "web");
    world.deployment("web", "web");
    let jane = Front::start(&world).await.jane();
    assert_eq!(names(jane.values(ALL).await), ["web-0"]);
    // Less than the whole would scale for the wrong reason.
    let whole = "/namespaces/shop/deployments.apps/web/go_goroutines";
    assert_eq!(jane.values(whole).await, Err(404));
    let begun = Instant::now();
    for _ in 0..5 {
        assert_eq!(names(jane.values(ALL).await), ["web-0"]);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    let text = world
        .telemetry
        .text(Nodes::default(), &SecurityFigures::default())
        .unwrap();
    let once = "observer_adapter_node_requests_total{result=\"failure\"} 1";
    assert!(text.contains(once), "{text}");

    let _b = FakeNode::start(&world, 1, "b", &[("web-1", "app", 20)]).await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(names(jane.values(ALL).await), ["web-0", "web-1"]);
    assert_eq!(jane.values(whole).await.unwrap()[0].1, "30");
}

/// Of a node that observes each second.
const FOUR_INTERVALS: Duration = Duration::from_secs(4);

fn four_intervals() -> FanOutLimits {
    FanOutLimits {
        intervals: 4,
        ..limits()
    }
}

#[tokio::test]
async fn last_values_hold_for_their_time_only() {
    let world = World::new(four_intervals()).listed(&["a"]);
    let node = FakeNode::start(&world, 0, "a", &[("web-0", "app", 10)]).await;
    world.shop("web-0", "a", "web");
    let jane = Front::start(&world).await.jane();
    let path = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/web-0/go_goroutines";
    let (_, before) = jane.get(path).await;
    node.stop().await;
    let (status, after) = jane.get(path).await;
    assert_eq!(status, 200);
    assert_eq!(
        after["items"][0]["timestamp"],
        before["items"][0]["timestamp"]
    );
    tokio::time::sleep(FOUR_INTERVALS).await;
    assert_eq!(jane.get(path).await.0, 404);
}

#[tokio::test]
async fn a_replica_that_was_not_asked_lately_does_not_tell_of_the_past() {
    let world = World::new(four_intervals()).listed(&["a"]);
    world.shop("web-0", "a", "web");
    let before = [("web-0", "app", 4)];
    let node = FakeNode::start(&world, 0, "a", &before).await;
    let (one, two) = (world.replica(), world.replica());
    let told = async |replica: &Arc<FanOut>| {
        let told = replica.get([("a".to_owned(), address(0).into())]).await;
        let node = told.get("a")?;
        let containers = node.containers("shop", "web-0", "uid-web-0");
        containers[0].now.goroutines
    };
    assert_eq!(told(&two).await, Some(4));
    tokio::time::sleep(FOUR_INTERVALS).await;
    node.snapshots
        .send_replace(Some(figures("a", &[("web-0", "app", 189)])));
    assert_eq!(told(&one).await, Some(189));
    node.stop().await;
    // What it knows is from before what the other told.
    assert_eq!(told(&two).await, None);
}

#[tokio::test]
async fn equal_questions_are_one() {
    let world = World::new(FanOutLimits {
        fresh: Duration::from_secs(60),
        ..limits()
    })
    .listed(&["a"]);
    let _node = FakeNode::start(&world, 0, "a", &[("web-0", "app", 10)]).await;
    world.shop("web-0", "a", "web");
    let values = Arc::new(world.values());
    let at = address(0);
    let many = (0..100).map(|_| world.nodes.get([("a".to_owned(), at.into())]));
    for found in futures_util::future::join_all(many).await {
        assert_eq!(found.len(), 1);
    }
    drop(values);
    let text = world
        .telemetry
        .text(Nodes::default(), &SecurityFigures::default())
        .unwrap();
    for line in [
        "observer_adapter_node_requests_total{result=\"success\"} 1",
        "observer_adapter_node_requests_merged_total 99",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn a_pod_that_is_gone_is_never_served() {
    let world = World::new(limits()).listed(&["a"]);
    let told = [("web-0", "app", 10), ("web-1", "app", 20)];
    let _node = FakeNode::start(&world, 0, "a", &told).await;
    world.shop("web-0", "a", "web");
    world.shop("web-1", "a", "web");
    let jane = Front::start(&world).await.jane();
    assert_eq!(names(jane.values(ALL).await), ["web-0", "web-1"]);
    world.gone("web-1");
    assert_eq!(names(jane.values(ALL).await), ["web-0"]);
    // Another pod of that name, of which the node tells nothing yet.
    let mut again = world
        .objects
        .read()
        .pods
        .entry("shop", "web-0")
        .unwrap()
        .1
        .as_ref()
        .clone();
    again.name = "web-1".to_owned();
    again.uid = "another".to_owned();
    world.pod(again.clone());
    assert_eq!(names(jane.values(ALL).await), ["web-0"]);
    again.running = false;
    again.uid = "uid-web-1".to_owned();
    world.pod(again);
    assert_eq!(names(jane.values(ALL).await), ["web-0"]);
}

#[tokio::test]
async fn another_nodes_figures_are_not_taken() {
    let world = World::new(limits()).listed(&["a"]);
    let node = FakeNode::start(&world, 0, "other", &[("web-0", "app", 10)]).await;
    world.shop("web-0", "a", "web");
    let jane = Front::start(&world).await.jane();
    assert!(names(jane.values(ALL).await).is_empty());
    node.snapshots
        .send_replace(Some(figures("a", &[("web-0", "app", 11)])));
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(jane.values(ALL).await.unwrap()[0].1, "11");
}

#[tokio::test]
async fn an_observer_that_was_started_again_is_asked_at_once() {
    let world = World::new(limits()).listed(&["a"]);
    let node = FakeNode::start(&world, 0, "other", &[]).await;
    world.shop("web-0", "a", "web");
    let jane = Front::start(&world).await.jane();
    assert!(names(jane.values(ALL).await).is_empty());
    node.snapshots
        .send_replace(Some(figures("a", &[("web-0", "app", 11)])));
    assert!(names(jane.values(ALL).await).is_empty(), "it waits");
    let mut observer = {
        let objects = world.objects.read();
        let (_, observer) = objects.pods.within("go-observer").next().unwrap();
        observer.as_ref().clone()
    };
    let place = &mut observer.observer.as_mut().unwrap().place;
    place.as_mut().unwrap().restarts += 1;
    world.pod(observer);
    assert_eq!(names(jane.values(ALL).await), ["web-0"]);
}

#[tokio::test]
async fn an_observer_of_another_authority_is_not_believed() {
    let world = World::new(limits()).listed(&["a"]);
    let _node = FakeNode::start(&world, 0, "a", &[("web-0", "app", 10)]).await;
    world.shop("web-0", "a", "web");
    let other = crate::pki::Authority::new().unwrap();
    let client = world.nodes.client();
    client.trust(other.pair().certificate.as_bytes()).unwrap();
    let error = client.pods("a", address(0)).await.unwrap_err();
    assert!(
        format!("{error:?}").contains("InvalidCertificate"),
        "{error:?}"
    );
    let both = format!(
        "{}{}",
        other.pair().certificate,
        world.authority.pair().certificate
    );
    client.trust(both.as_bytes()).unwrap();
    assert_eq!(
        client.pods("a", address(0)).await.unwrap().containers.len(),
        1
    );
}

#[tokio::test]
async fn a_watch_comes_back_as_soon_as_the_server_answers_anybody() {
    let (tries, mut seen) = tokio::sync::watch::channel(0);
    let events = stream::repeat_with(move || {
        tries.send_modify(|tries| *tries += 1);
        Err::<kube::runtime::watcher::Event<ApiNode>, _>(Error::NoResourceVersion)
    });
    let answered = Arc::new(Notify::new());
    let watch = follow_events("nodes", Arc::clone(&answered), events, |_| ());
    let back = async {
        // The third wait is for four seconds at least.
        seen.wait_for(|tries| *tries == 3).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2100)).await;
        answered.notify_waiters();
        let again = seen.wait_for(|tries| *tries == 4);
        timeout(Duration::from_secs(1), again)
            .await
            .unwrap()
            .unwrap();
    };
    tokio::select! {
        () = watch => panic!("the watch ended"),
        () = back => {}
    }
}
