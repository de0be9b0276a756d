//! Formats, codings, methods, paths and hosts.

use std::io::Read;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::server::start;
use crate::fixtures::{observation, snapshot, with_gc, with_state};

#[tokio::test]
async fn a_page_of_a_stranger_is_not_answered() {
    let server = start().await;
    server.snapshots.send(Some(snapshot(vec![]))).unwrap();
    let status = async |path: &str, host: &str| {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        AsyncReadExt::read_to_string(&mut stream, &mut answer)
            .await
            .unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    for path in ["/metrics", "/api/v1/processes", "/", "/healthz", "/no/such"] {
        assert_eq!(status(path, "evil.example:9920").await, "421", "{path}");
    }
    for host in ["localhost:9920", "127.0.0.1:9920", "[::1]:9920"] {
        assert_eq!(status("/metrics", host).await, "200", "{host}");
    }
}

#[tokio::test]
async fn answers_are_compressed_for_those_who_ask() {
    let server = start().await;
    let processes = (0..100)
        .map(|pid| with_state(with_gc(observation(pid, "/srv/shop"))))
        .collect();
    server.snapshots.send(Some(snapshot(processes))).unwrap();
    for path in ["/metrics", "/api/v1/processes"] {
        let (head, plain) = server.bytes(path, "").await;
        assert!(!head.contains("content-encoding"), "{head}");
        assert!(head.contains("vary: accept, accept-encoding"), "{head}");
        for coding in ["gzip", "zstd"] {
            let (head, packed) = server.bytes(path, coding).await;
            let named = format!("content-encoding: {coding}\r\n");
            assert!(head.contains(&named), "{head}");
            assert!(head.contains(&format!("content-length: {}", packed.len())));
            let sizes = (packed.len(), plain.len());
            assert!(
                packed.len() * 5 < plain.len(),
                "{path}, {coding}: {sizes:?}"
            );
            let mut text = Vec::new();
            if coding == "gzip" {
                let mut unpacked = flate2::read::GzDecoder::new(&packed[..]);
                unpacked.read_to_end(&mut text).unwrap();
            } else {
                let mut unpacked = ruzstd::decoding::StreamingDecoder::new(&packed[..]).unwrap();
                unpacked.read_to_end(&mut text).unwrap();
            }
            assert!(text == plain, "{path}, {coding}");
        }
    }
    // What is small stays as it is.
    server.snapshots.send(Some(snapshot(vec![]))).unwrap();
    let (head, body) = server.bytes("/api/v1/processes", "gzip").await;
    assert!(
        !head.contains("content-encoding") && body == b"[]",
        "{head}"
    );
}

#[tokio::test]
async fn formats_methods_and_unknown_paths() {
    let server = start().await;
    server
        .snapshots
        .send(Some(snapshot(vec![with_gc(observation(10, "/srv/shop"))])))
        .unwrap();
    let (status, head, body) = server
        .ask(
            "GET",
            "/metrics",
            "application/openmetrics-text;q=0.5,*/*;q=0.1",
        )
        .await;
    assert_eq!(status, 200);
    assert!(
        head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(body.ends_with("# EOF\n"));
    let (_, head, body) = server.ask("GET", "/metrics", "*/*").await;
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"));
    assert!(
        body.contains("# TYPE go_gc_cycles_total_gc_cycles_total counter\n")
            && !body.contains("# EOF")
    );
    let (status, head, body) = server.ask("HEAD", "/metrics", "*/*").await;
    assert!(status == 200 && body.is_empty() && head.contains("content-length: "));
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        for path in ["/", "/metrics", "/healthz", "/readyz", "/api/v1/processes"] {
            assert_eq!(
                server.ask(method, path, "*/*").await.0,
                405,
                "{method} {path}"
            );
        }
    }
    assert_eq!(server.ask("GET", "/debug", "*/*").await.0, 404);
    let (status, head, body) = server.ask("GET", "/", "*/*").await;
    assert!(status == 200 && head.contains("content-type: text/html") && body.contains("api/v1/"));
    assert!(head.contains("content-security-policy: default-src 'none'; script-src 'self';"));
    assert!(!head.contains("unsafe"));
    assert_eq!(server.ask("GET", "/page/app.js", "*/*").await.0, 200);
    assert_eq!(server.ask("GET", "/page/..%2fserve.rs", "*/*").await.0, 404);

    // A new snapshot is a new body.
    server.snapshots.send(Some(snapshot(vec![]))).unwrap();
    assert!(
        !server
            .ask("GET", "/metrics", "*/*")
            .await
            .2
            .contains("go_goroutines")
    );
}
