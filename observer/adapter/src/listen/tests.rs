//! Connections over real sockets and real TLS: of those who dawdle, send too
//! much, or are too many.

mod crowd;
mod rotation;

use std::{
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::http::Version;
use observer_node::listen::ConnectionLimits;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::fixtures::{Front, World, address, limits};

const DAY: Duration = Duration::from_hours(24);
const SOON: Duration = Duration::from_secs(5);
const PATH: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/go_goroutines";

async fn front(bounds: ConnectionLimits) -> Front {
    let world = World::new(limits()).listed(&[]);
    Front::within(&world, bounds, std::future::pending()).await
}

/// A connection whose handshake is through, by one protocol.
async fn connect(front: &Front, protocol: &[u8]) -> TlsStream<TcpStream> {
    let mut config = front.tls(None);
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(front.address).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await.unwrap()
}

/// What comes until the other end closes, which it does soon.
async fn rest(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut rest = Vec::new();
    // A connection that is reset is closed as well.
    let ended = timeout(SOON, stream.read_to_end(&mut rest)).await;
    let rest = String::from_utf8_lossy(&rest).into_owned();
    assert!(ended.is_ok(), "not closed after {rest:?}");
    rest
}

#[tokio::test]
async fn the_aggregator_speaks_http2_and_others_may_speak_http1() {
    let front = front(ConnectionLimits::of_adapter()).await;
    let proxy = front.proxies.client("front-proxy-client", &[], DAY);
    let jane = [("X-Remote-User", "jane")];
    for (caller, version) in [
        (front.caller(Some(&proxy)), Version::HTTP_2),
        (front.old_caller(Some(&proxy)), Version::HTTP_11),
    ] {
        assert_eq!(caller.version("/healthz").await, version);
        assert_eq!(caller.ask("GET", PATH, &jane).await.0, 200);
        let many: Vec<_> = (0..300).map(|_| ("X-Remote-Group", "g")).collect();
        let with_groups = [&jane[..], &many].concat();
        assert_eq!(caller.ask("GET", PATH, &with_groups).await.0, 200);
    }
}

#[tokio::test]
async fn who_dawdles_is_cut_off() {
    let front = front(ConnectionLimits {
        handshake: Duration::from_millis(300),
        headers: Duration::from_millis(600),
        patience: Duration::from_millis(1200),
        ping: Duration::from_secs(60),
        ..ConnectionLimits::of_adapter()
    })
    .await;
    let begun = Instant::now();
    let mut silent = TcpStream::connect(front.address).await.unwrap();
    assert_eq!(rest(&mut silent).await, "");
    assert!(begun.elapsed() < Duration::from_millis(600));

    let mut slow = connect(&front, b"http/1.1").await;
    let begun = Instant::now();
    let dripping = async {
        while slow.write_all(b"x").await.is_ok() && slow.flush().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(SOON, dripping).await.expect("cut off");
    assert!(begun.elapsed() >= Duration::from_millis(500));

    // The beginning of HTTP/2, and nothing more.
    let mut slow = connect(&front, b"h2").await;
    slow.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
    rest(&mut slow).await;
    assert_eq!(front.caller(None).ask("GET", "/healthz", &[]).await.0, 200);
}

#[tokio::test]
async fn requests_too_large_or_malformed_are_refused() {
    let front = front(ConnectionLimits::of_adapter()).await;
    let long = "x".repeat(1 << 20);
    for (request, expected) in [
        (
            format!("GET / HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n"),
            "HTTP/1.1 431",
        ),
        (
            format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"),
            "HTTP/1.1 4",
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nno header\r\n\r\n".to_owned(),
            "HTTP/1.1 400",
        ),
        ("\0\0\0\0\r\n\r\n".to_owned(), "HTTP/1.1 400"),
        ("GET / HTTP/7.3\r\n\r\n".to_owned(), "HTTP/1.1 400"),
        // Nobody waits for, nor holds, what a body is said to be.
        (
            format!("POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n"),
            "HTTP/1.1 403",
        ),
    ] {
        let mut stream = connect(&front, b"http/1.1").await;
        // It may be refused before all of it is taken.
        drop(stream.write_all(request.as_bytes()).await);
        let answer = rest(&mut stream).await;
        let begin: String = request.chars().take(40).collect();
        assert!(answer.starts_with(expected), "{begin:?}: {answer}");
    }
    let mut stream = connect(&front, b"h2").await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    rest(&mut stream).await;
    let jane = front.jane();
    let headers = [("x", &long[..100 << 10])];
    assert_eq!(jane.try_ask(PATH, &headers).await, Ok(431));
    assert_eq!(jane.ask("GET", PATH, &[]).await.0, 200);
    assert_eq!(jane.ask("POST", PATH, &[]).await.0, 405);
}

#[tokio::test]
async fn who_must_wait_too_long_is_told() {
    let world = World::new(limits()).listed(&[]);
    let front = Front::start(&world).await;
    let all = u32::try_from(crate::serve::VALUES_AT_ONCE).unwrap();
    let _taken = front.server.places.acquire_many(all).await.unwrap();
    let (status, headers, body) = front.jane().ask("GET", PATH, &[]).await;
    assert_eq!(
        (status, &headers["retry-after"]),
        (429, &"1".parse().unwrap())
    );
    assert!(body.contains("TooManyRequests"), "{body}");
    // Discovery and health do not wait for values.
    let path = "/apis/custom.metrics.k8s.io/v1beta2";
    assert_eq!(front.jane().ask("GET", path, &[]).await.0, 200);

    let mut world = World::new(limits()).listed(&[]);
    world.patience = Duration::from_millis(300);
    let front = Front::start(&world).await;
    let _taken = front.server.places.acquire_many(all).await.unwrap();
    let (status, _, body) = front.jane().ask("GET", PATH, &[]).await;
    assert_eq!(status, 504);
    assert!(body.contains("\"Timeout\""), "{body}");
}

#[tokio::test]
async fn at_the_end_requests_under_way_are_answered_and_no_others() {
    let world = World::new(limits()).listed(&["a"]);
    world.shop("web-0", "a", "web");
    // An observer that takes connections, and no more.
    let _mute = TcpListener::bind((address(0), world.port)).await.unwrap();
    let (end, ended) = oneshot::channel::<()>();
    let shutdown = async { drop(ended.await) };
    let front = Front::within(&world, ConnectionLimits::of_adapter(), shutdown).await;
    let certificate = front.clients.client("jane", &["dev"], DAY);
    let (new, old) = (
        front.caller(Some(&certificate)),
        front.old_caller(Some(&certificate)),
    );
    let begun = Instant::now();
    let asked = async { tokio::join!(new.ask("GET", PATH, &[]), old.ask("GET", PATH, &[])) };
    let ending = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        end.send(()).unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        TcpStream::connect(front.address).await.is_err()
    };
    let ((new, old), refused) = tokio::join!(asked, ending);
    assert!(
        begun.elapsed() > Duration::from_millis(1500),
        "it was waited for"
    );
    assert_eq!((new.0, old.0), (200, 200));
    assert!(refused, "nobody new is let in");
}

#[tokio::test]
async fn proxies_that_are_too_many_make_room_for_each_other() {
    let front = front(ConnectionLimits {
        strangers: NonZeroUsize::MIN,
        known: NonZeroUsize::MIN,
        ..ConnectionLimits::of_adapter()
    })
    .await;
    let proxy = front.proxies.client("front-proxy-client", &[], DAY);
    let jane = [("X-Remote-User", "jane")];
    let (one, two) = (front.caller(Some(&proxy)), front.caller(Some(&proxy)));
    // Each comes back on a connection of its own.
    for _ in 0..3 {
        assert_eq!(one.ask("GET", PATH, &jane).await.0, 200);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(two.ask("GET", PATH, &jane).await.0, 200);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
