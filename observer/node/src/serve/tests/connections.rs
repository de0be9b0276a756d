//! Clients that dawdle, do not read, or stay.

use std::{
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
};

use super::{
    events::Listener,
    server::{Server, start},
};
use crate::{
    auth::Security,
    fixtures::{observation, snapshot, with_gc},
    listen::ConnectionLimits,
    liveness::Liveness,
    serve::Answers,
};

#[tokio::test]
async fn stops_within_a_second_whatever_clients_do() {
    let server = start().await;
    let processes = (0..500)
        .map(|pid| with_gc(observation(pid, "/srv/shop")))
        .collect();
    server.snapshots.send(Some(snapshot(processes))).unwrap();
    let mut half = TcpStream::connect(server.address).await.unwrap();
    half.write_all(b"GET /metrics HTTP/1.1\r\nHost:")
        .await
        .unwrap();
    // Asks for megabytes and reads none of them.
    let mut deaf = TcpStream::connect(server.address).await.unwrap();
    deaf.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let _idle = TcpStream::connect(server.address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    server.stop.send(()).unwrap();
    server.task.await.unwrap().unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn those_who_dawdle_and_those_who_listen_keep_nobody_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (snapshots, receiver) = watch::channel(Some(snapshot(vec![])));
    let (stop, stopped) = oneshot::channel();
    let bounds = ConnectionLimits {
        strangers: NonZeroUsize::MIN,
        ..ConnectionLimits::of_node()
    };
    let (security, liveness) = (Security::default(), Liveness::default());
    let answers = Answers::new(receiver, &security, &liveness);
    let own = liveness.clone();
    let task = tokio::spawn(async move {
        let ended = async { drop(stopped.await) };
        answers
            .serve_within(bounds, vec![listener], security, &own, ended)
            .await
    });
    let server = Server {
        address,
        snapshots,
        liveness,
        stop,
        task,
    };
    let mut listens = Listener::open(address, "/api/v1/events").await;
    assert_eq!(listens.next().await.0, "table");
    let mut dawdlers = Vec::new();
    for _ in 0..20 {
        let mut dawdler = TcpStream::connect(address).await.unwrap();
        dawdler.write_all(b"GET /metrics HTTP/1.1\r\nX").await.ok();
        dawdlers.push(dawdler);
        assert_eq!(server.ask("GET", "/healthz", "*/*").await.0, 200);
    }
    let process = observation(10, "/srv/shop");
    let snapshot = Some(snapshot(vec![process]));
    server.snapshots.send(snapshot).unwrap();
    assert_eq!(listens.next().await.0, "change");
}
