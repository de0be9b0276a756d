//! A server of this node, and who asks it.

use std::sync::Arc;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
    task::JoinHandle,
};

use crate::{auth::Security, liveness::Liveness, node::Snapshot, serve::serve};

pub(super) type Sender = watch::Sender<Option<Arc<Snapshot>>>;

pub(super) struct Server {
    pub(super) address: std::net::SocketAddr,
    pub(super) snapshots: Sender,
    pub(super) liveness: Liveness,
    pub(super) stop: oneshot::Sender<()>,
    pub(super) task: JoinHandle<std::io::Result<()>>,
}

pub(super) async fn start() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (snapshots, receiver) = watch::channel(None);
    let (stop, stopped) = oneshot::channel();
    let liveness = Liveness::default();
    let task = tokio::spawn(serve(
        vec![listener],
        receiver,
        Security::default(),
        liveness.clone(),
        async { drop(stopped.await) },
    ));
    Server {
        address,
        snapshots,
        liveness,
        stop,
        task,
    }
}

impl Server {
    pub(super) async fn ask(
        &self,
        method: &str,
        path: &str,
        accept: &str,
    ) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        AsyncReadExt::read_to_string(&mut stream, &mut answer)
            .await
            .unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (
            head.split(' ').nth(1).unwrap().parse().unwrap(),
            head.to_lowercase(),
            body.to_owned(),
        )
    }
}

impl Server {
    /// Head and body of what is answered to who accepts this coding.
    pub(super) async fn bytes(&self, path: &str, coding: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: {coding}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        AsyncReadExt::read_to_end(&mut stream, &mut answer)
            .await
            .unwrap();
        let end = answer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap()
            + 2;
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        (head, answer[end + 2..].to_vec())
    }
}
