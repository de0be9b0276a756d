//! Clients that dawdle, hold connections, or do not speak TLS.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Authority, Files, HOUR, Server, security};

#[tokio::test]
async fn handshakes_that_dawdle_hold_up_nobody() {
    let authority = Authority::new("ours");
    let files = Files::new(&authority.server(24 * HOUR));
    let security = security(&files.settings());
    let reader = security.reader();
    let server = Server::start(security).await;
    let mut dawdlers = Vec::new();
    for bytes in 0..100 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        // The beginning of a handshake, or nothing at all.
        stream
            .write_all(&[22, 3, 1, 2, 0][..bytes % 6])
            .await
            .unwrap();
        dawdlers.push(stream);
    }
    let began = Instant::now();
    let mut client = server.connect(&authority.pem, None).await;
    assert_eq!(client.get("/metrics").await.0, 200);
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );

    // Their time is up after five seconds.
    let ended = async {
        for mut stream in dawdlers {
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.ok();
        }
    };
    tokio::time::timeout(Duration::from_secs(15), ended)
        .await
        .unwrap();
    assert_eq!(reader.read().tls.unwrap().1.handshakes, 100);
    assert_eq!(client.get("/metrics").await.0, 200);
}

#[tokio::test]
async fn plain_http_is_told_to_speak_tls() {
    let authority = Authority::new("ours");
    let files = Files::new(&authority.server(24 * HOUR));
    let server = Server::start(security(&files.settings())).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.0 400 ") && answer.contains("https://"),
        "{answer}"
    );
}

#[tokio::test]
async fn stops_within_a_second_whatever_clients_do() {
    let authority = Authority::new("ours");
    let files = Files::new(&authority.server(24 * HOUR));
    let server = Server::start(security(&files.settings())).await;
    let mut kept = server.connect(&authority.pem, None).await;
    assert_eq!(kept.get("/healthz").await.0, 200);
    let _mute = TcpStream::connect(server.address).await.unwrap();
    let mut half = server.connect(&authority.pem, None).await;
    half.stream.write_all(b"GET /metrics HT").await.unwrap();
    half.stream.flush().await.unwrap();
    let began = Instant::now();
    server.stop.send(()).unwrap();
    server.task.await.unwrap().unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
}
