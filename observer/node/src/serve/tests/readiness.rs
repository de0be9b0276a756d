//! Whether the node lives and is ready, and what is served before and after.

use std::sync::Arc;

use tokio::sync::watch;

use super::server::{Server, start};
use crate::{
    fixtures::snapshot,
    node::{Cluster, PodWatch},
};

#[tokio::test]
async fn ready_once_the_node_was_observed() {
    let server = start().await;
    assert_eq!(server.ask("GET", "/healthz", "*/*").await.0, 200);
    for path in ["/readyz", "/metrics", "/api/v1/processes"] {
        let (status, _, body) = server.ask("GET", path, "*/*").await;
        assert_eq!(
            (status, body.as_str()),
            (503, "not ready: the node has not been observed yet\n"),
            "{path}"
        );
    }
    let mut first = Arc::unwrap_or_clone(snapshot(vec![]));
    first
        .health
        .missing
        .push("CAP_BPF: no event is counted".to_owned());
    server.snapshots.send(Some(Arc::new(first))).unwrap();
    let (status, _, body) = server.ask("GET", "/readyz", "*/*").await;
    assert_eq!(
        (status, body.as_str()),
        (200, "ready\nlacking: CAP_BPF: no event is counted\n")
    );
    assert_eq!(server.ask("GET", "/api/v1/processes", "*/*").await.2, "[]");
    drop(server.snapshots.send(None));
    let (status, _, _) = server.ask("GET", "/readyz", "*/*").await;
    assert_eq!(status, 503);
}

#[tokio::test]
async fn ready_once_the_pods_are_known_and_honest_about_their_watch() {
    let server = start().await;
    let with = |watch: PodWatch| {
        let cluster = Cluster {
            node: "node-a".to_owned(),
            watch,
            ..Cluster::default()
        };
        let mut snapshot = Arc::unwrap_or_clone(snapshot(vec![]));
        snapshot.cluster = Some(Arc::new(cluster));
        server.snapshots.send(Some(Arc::new(snapshot))).unwrap();
    };
    let lost = PodWatch {
        error: Some("connection refused".to_owned()),
        ..PodWatch::default()
    };
    with(lost.clone());
    let (status, _, body) = server.ask("GET", "/readyz", "*/*").await;
    assert_eq!(
        (status, body.as_str()),
        (
            503,
            "not ready: the pods of node node-a have not been listed yet: connection refused\n"
        )
    );
    assert_eq!(server.ask("GET", "/metrics", "*/*").await.0, 200);
    with(PodWatch {
        listed: true,
        up: true,
        ..PodWatch::default()
    });
    let (status, _, body) = server.ask("GET", "/readyz", "*/*").await;
    assert_eq!((status, body.as_str()), (200, "ready\n"));
    with(PodWatch {
        listed: true,
        ..lost
    });
    let (status, _, body) = server.ask("GET", "/readyz", "*/*").await;
    assert_eq!(status, 200);
    assert!(
        body.contains("node-a are not watched") && body.contains("connection refused"),
        "{body}"
    );
}

#[tokio::test]
async fn figures_are_not_served_once_nobody_takes_them() {
    let Server {
        address,
        snapshots,
        liveness,
        stop,
        task,
    } = start().await;
    snapshots.send(Some(snapshot(vec![]))).unwrap();
    drop(snapshots);
    let server = Server {
        address,
        snapshots: watch::channel(None).0,
        liveness,
        stop,
        task,
    };
    assert_eq!(server.ask("GET", "/metrics", "*/*").await.0, 503);
}

#[tokio::test]
async fn alive_while_every_part_lives() {
    let server = start().await;
    let engine = server.liveness.part("engine");
    engine.works();
    let (status, _, body) = server.ask("GET", "/healthz", "*/*").await;
    assert_eq!(status, 200);
    assert!(
        body.starts_with("alive\n") && body.contains("engine: moved 0."),
        "{body}"
    );
    let thread = std::thread::spawn(move || {
        let _engine = engine;
        std::panic::resume_unwind(Box::new("a bug"));
    });
    assert!(thread.join().is_err());
    let (status, _, body) = server.ask("GET", "/healthz", "*/*").await;
    assert_eq!(status, 503);
    assert!(
        body.starts_with("not alive\n") && body.contains("engine: HAS ENDED\n"),
        "{body}"
    );
}
