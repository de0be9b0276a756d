//! The table, one row and what changes of them, as one who listens reads it.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::server::start;
use crate::fixtures::{observation, snapshot, with_state};

#[tokio::test]
async fn containers_and_what_changes_of_them() {
    let server = start().await;
    let (status, _, _) = server.ask("GET", "/api/v1/containers", "*/*").await;
    assert_eq!(status, 503);
    assert_eq!(server.ask("GET", "/api/v1/events", "*/*").await.0, 503);
    let show = |live: u64| {
        let mut process = with_state(observation(10, "/srv/<b>shop"));
        if let Some(sample) = &mut process.figures.state {
            Arc::make_mut(&mut Arc::make_mut(sample).figures)
                .goroutines
                .live = live;
        }
        server
            .snapshots
            .send(Some(snapshot(vec![process])))
            .unwrap();
    };
    show(7);
    let mut listener = Listener::open(server.address, "/api/v1/events").await;
    let (name, table) = listener.next().await;
    assert_eq!(
        (name.as_str(), &table["rows"][0]["goroutines"]),
        ("table", &json!(7))
    );
    let (status, _, body) = server.ask("GET", "/api/v1/containers", "*/*").await;
    assert_eq!(status, 200);
    let asked: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(asked, table);
    let id = table["rows"][0]["id"].as_str().unwrap();
    let mut viewer = Listener::open(server.address, &format!("/api/v1/events?id={id}")).await;
    let (name, view) = viewer.next().await;
    assert_eq!((name.as_str(), &view["row"]["id"]), ("view", &json!(id)));
    show(8);
    let (name, change) = listener.next().await;
    assert_eq!(name, "change");
    assert_eq!(change["rows"][0][0], table["rows"][0]["key"]);
    assert_eq!(change["rows"][0][1]["goroutines"], 8);
    assert_eq!(change["rows"][0][1].get("heap_bytes"), None);
    assert_eq!(viewer.next().await.1["row"]["goroutines"], 8);
    server.snapshots.send(Some(snapshot(vec![]))).unwrap();
    assert_eq!(
        listener.next().await.1["gone"],
        json!([table["rows"][0]["key"]])
    );
    assert_eq!(viewer.next().await.0, "gone");
    let path = format!("/api/v1/containers/{id}");
    assert_eq!(server.ask("GET", &path, "*/*").await.0, 404);
    drop(server.snapshots);
    assert!(
        listener.ended().await,
        "nobody observes, so nothing more is told"
    );
}

/// One who reads events.
pub(super) struct Listener {
    stream: TcpStream,
    read: String,
}

impl Listener {
    pub(super) async fn open(address: std::net::SocketAddr, path: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        Self {
            stream,
            read: String::new(),
        }
    }

    async fn more(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let read = self.stream.read(&mut bytes).await.unwrap();
        self.read.push_str(&String::from_utf8_lossy(&bytes[..read]));
        read > 0 && !self.read.contains("\r\n0\r\n")
    }

    /// The next event's name and what it says.
    pub(super) async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some(end) = self.read.find("\n\n") {
                let event = self.read[..end].to_owned();
                self.read.drain(..end + 2);
                let field = |name: &str| {
                    let lines = event.lines().filter_map(|line| line.split_once(name));
                    lines.map(|(_, value)| value.to_owned()).next()
                };
                let data = field("data: ").expect("an event with data");
                return (
                    field("event: ").unwrap(),
                    serde_json::from_str(&data).unwrap(),
                );
            }
            assert!(self.more().await, "the stream ended: {}", self.read);
        }
    }

    async fn ended(&mut self) -> bool {
        let end = async { while self.more().await {} };
        tokio::time::timeout(Duration::from_secs(5), end)
            .await
            .is_ok()
    }
}
