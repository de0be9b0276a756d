//! The tasks as they run.

use std::{sync::Arc, time::Duration};

use kube::{
    Config,
    api::{Api, ListParams},
};
use tokio::{net::TcpListener, sync::watch, time::timeout};

use super::{UID, id, index, pod};
use crate::{
    exclude::ExclusionRules,
    fixtures::{in_container, observation, snapshot, with_state},
    kube::{Connection, attribute, watch_pods},
    liveness::Liveness,
    node::Attribution,
};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn an_api_server_that_is_away_is_said_and_waited_for() {
    // A port that nobody answers on any more.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let config = Config::new(format!("http://{address}").parse().unwrap());
    let mut pods = watch_pods(
        Connection::new(config).unwrap(),
        "node-a",
        ExclusionRules::default(),
        &Liveness::default(),
    );
    let failed = |watch: &crate::node::PodWatch| watch.errors > 0;
    let index = timeout(SOON, pods.wait_for(|index| failed(&index.watch)));
    let watch = index.await.unwrap().unwrap().watch.clone();
    assert!(!watch.listed && !watch.up && watch.pods == 0);
    let error = watch.error.unwrap();
    assert!(error.contains("refused"), "{error}");
    // The second try waits for a second at least.
    let again = pods.wait_for(|index| index.watch.errors > 1);
    assert!(timeout(Duration::from_millis(900), again).await.is_err());
}

#[tokio::test]
async fn an_answer_to_another_question_ends_the_wait() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let config = Config::new(format!("http://{address}").parse().unwrap());
    let connection = Connection::new(config).unwrap();
    let client = connection.client.clone();
    let mut pods = watch_pods(
        connection,
        "node-a",
        ExclusionRules::default(),
        &Liveness::default(),
    );
    // The third wait is for four seconds at least.
    let failed = pods.wait_for(|index| index.watch.errors > 2);
    timeout(SOON, failed).await.unwrap().unwrap();
    let back = TcpListener::bind(address).await.unwrap();
    let router = axum::Router::new().fallback(async || (axum::http::StatusCode::NOT_FOUND, "{}"));
    tokio::spawn(async move { axum::serve(back, router).await });
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let other = Api::<k8s_openapi::api::core::v1::Node>::all(client);
    other.list(&ListParams::default()).await.unwrap_err();
    // Tried again at once, and refused, since this server knows no pods.
    let again = pods.wait_for(|index| index.watch.errors > 3);
    let again = timeout(Duration::from_secs(1), again).await;
    let error = again.unwrap().unwrap().watch.error.clone().unwrap();
    assert!(!error.contains("refused"), "{error}");
}

#[tokio::test]
async fn labels_come_with_the_pod_and_not_with_the_next_interval() {
    let (snapshots, taken) = watch::channel(None);
    let (pods, indexes) = watch::channel(index(&[]));
    let mut attributed = attribute(
        taken,
        indexes,
        "node-a".to_owned(),
        false,
        &Liveness::default(),
    );
    let process = with_state(in_container(observation(10, "/srv/shop"), &id('a')));
    snapshots.send(Some(snapshot(vec![process]))).unwrap();
    timeout(SOON, attributed.changed()).await.unwrap().unwrap();
    let place = |snapshot: &Option<Arc<crate::node::Snapshot>>| {
        let snapshot = snapshot.as_ref().unwrap();
        snapshot.placed().next().unwrap().1.clone()
    };
    assert_eq!(place(&attributed.borrow_and_update()), Attribution::Unknown);
    pods.send(index(&[&pod("checkout-1", UID, &id('a'))]))
        .unwrap();
    timeout(SOON, attributed.changed()).await.unwrap().unwrap();
    match place(&attributed.borrow_and_update()) {
        Attribution::Container(of) => assert_eq!(of.pod.name, "checkout-1"),
        place => panic!("{place:?}"),
    }
    // Nobody takes figures any more: nothing is served as if it were fresh.
    drop(snapshots);
    assert!(timeout(SOON, attributed.changed()).await.unwrap().is_err());
}
