//! Connections over real sockets, without TLS: of many who ask nothing.

use std::{net::SocketAddr, num::NonZeroUsize, sync::Arc, time::Duration};

use axum::{Extension, Router, routing::get};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::{ConnectionCounters, ConnectionLimits, ConnectionSlot, Server, serve};

const SOON: Duration = Duration::from_secs(20);

fn places(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap()
}

/// A server on several addresses, which keeps who asks for `/keep`.
async fn start(strangers: usize, known: usize) -> (Vec<SocketAddr>, Arc<ConnectionCounters>) {
    let mut listeners = Vec::new();
    for address in ["127.0.0.1:0", "127.0.0.2:0"] {
        listeners.push(TcpListener::bind(address).await.unwrap());
    }
    let addresses = listeners.iter().map(|it| it.local_addr().unwrap());
    let addresses = addresses.collect();
    let keep = async |Extension(place): Extension<Arc<ConnectionSlot>>| {
        place.keep();
        "kept"
    };
    let crowd = Arc::<ConnectionCounters>::default();
    let server = Server {
        router: Router::new()
            .route("/healthz", get(async || "alive"))
            .route("/keep", get(keep)),
        encryption: None,
        bounds: ConnectionLimits {
            strangers: places(strangers),
            known: places(known),
            ..ConnectionLimits::of_node()
        },
        crowd: Arc::clone(&crowd),
        is_known: Arc::new(|_| false),
    };
    tokio::spawn(serve(listeners, server, std::future::pending()));
    (addresses, crowd)
}

/// What is answered, or nothing where the connection ends.
async fn ask(stream: &mut TcpStream, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let asked = async {
        stream.write_all(request.as_bytes()).await?;
        let mut answer = [0; 1024];
        let read = stream.read(&mut answer).await?;
        std::io::Result::Ok(String::from_utf8_lossy(&answer[..read]).into_owned())
    };
    let answer = timeout(SOON, asked).await.expect("neither answer nor end");
    answer.unwrap_or_default()
}

async fn is_alive(address: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(address).await.unwrap();
    ask(&mut stream, "/healthz").await.ends_with("alive")
}

#[tokio::test]
async fn a_quiet_crowd_keeps_nobody_out() {
    let (addresses, crowd) = start(8, 8).await;
    let mut quiet = Vec::new();
    for turn in 0..100 {
        let address = addresses[turn % addresses.len()];
        quiet.push(TcpStream::connect(address).await.unwrap());
        if turn % 10 == 9 {
            assert!(is_alive(address).await, "after {turn} quiet ones");
        }
    }
    for address in addresses {
        assert!(is_alive(address).await);
    }
    // Closing goes on beside the answers.
    let settled = async {
        while crowd.read().open > 8 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, settled).await.expect("at most 8 are open");
    assert!(crowd.read().crowded_out >= 92, "{:?}", crowd.read());
}

#[tokio::test]
async fn who_is_kept_stays_and_a_stranger_goes() {
    let (addresses, _) = start(2, 1).await;
    let mut kept = TcpStream::connect(addresses[0]).await.unwrap();
    assert!(ask(&mut kept, "/keep").await.ends_with("kept"));
    let mut stranger = TcpStream::connect(addresses[0]).await.unwrap();
    assert!(ask(&mut stranger, "/healthz").await.ends_with("alive"));
    let mut quiet = Vec::new();
    for _ in 0..20 {
        quiet.push(TcpStream::connect(addresses[0]).await.unwrap());
        assert!(is_alive(addresses[0]).await);
    }
    assert_eq!(ask(&mut stranger, "/healthz").await, "");
    assert!(ask(&mut kept, "/healthz").await.ends_with("alive"));
}
