//! Simulated nodes, in a process of their own: TLS, HTTP and JSON are real,
//! each node has an address of its own on loopback and answers with as many
//! pods as a real one would.

use std::{
    env,
    io::{BufRead, BufReader, Write as _},
    net::{IpAddr, Ipv4Addr},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    http::{HeaderMap, header::HOST},
    routing::get,
};
use observer_adapter::{Authority, OBSERVER_NAME};
use observer_node::{
    auth::{
        Counters,
        tls::{CertificateSource, ServerTls},
    },
    scaling::{
        Histogram,
        wire::{ContainerFigures, CurrentFigures, NodePods, WindowFigures},
    },
};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// Says that this process is the nodes, and how many pods each has.
pub(super) const ASKED: &str = "OBSERVER_BENCH_NODES";

/// The process; it ends when this is dropped.
pub(super) struct Nodes {
    child: Child,
    /// Where all of them listen.
    pub(super) port: u16,
    /// The authority of their certificate.
    pub(super) pem: String,
}

impl Drop for Nodes {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Where a node's observer is.
pub(super) fn address(node: usize) -> IpAddr {
    let byte = |value: usize| u8::try_from(value).expect("a byte");
    IpAddr::V4(Ipv4Addr::new(
        127,
        1,
        byte(node / 250),
        byte(1 + node % 250),
    ))
}

fn milliseconds() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    u64::try_from(since.as_millis()).expect("before the year 500,000,000")
}

/// What one node answers: histograms as full as those of a busy server.
fn answer(node: usize, pods: usize) -> NodePods {
    let latencies = Histogram((10..26).map(|power| (1 << power, 1000)).collect());
    let containers = (0..pods).map(|pod| ContainerFigures {
        namespace: "shop".to_owned(),
        pod: format!("pod-{node}-{pod}"),
        pod_uid: format!("uid-{node}-{pod}"),
        container: "app".to_owned(),
        processes: 1,
        counted: vec![1000 + pod as u32],
        uncounted: Vec::new(),
        now: CurrentFigures {
            goroutines: Some(100),
            runnable: Some(2),
            processors: Some(4),
            heap_bytes: Some(64 << 20),
            next_gc_bytes: Some(128 << 20),
            limited_heap_bytes: Some(0),
            limit_bytes: Some(0),
        },
        over: Some(WindowFigures {
            window_ms: 15_000,
            goroutines: Some(99.5),
            created_per_second: Some(1234.5),
            allocated_bytes_per_second: Some(1e8),
            process_seconds: 15.0,
            pause_seconds: Some(0.01),
            processor_seconds: Some(60.0),
            gc_cpu_seconds: Some(1.5),
            latencies: Some(latencies.clone()),
            pauses: Some(latencies.clone()),
        }),
    });
    NodePods {
        node: format!("node-{node}"),
        now_ms: milliseconds(),
        observed_ms: milliseconds(),
        // On two cores a request for thousands of nodes takes its time.
        interval_ms: 60_000,
        containers: containers.collect(),
    }
}

struct Listening {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    ready: tokio::task::JoinSet<Option<(TlsStream<TcpStream>, std::net::SocketAddr)>>,
}

impl axum::serve::Listener for Listening {
    type Io = TlsStream<TcpStream>;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                Ok((stream, address)) = self.listener.accept() => {
                    let acceptor = self.acceptor.clone();
                    self.ready.spawn(async move {
                        Some((acceptor.accept(stream).await.ok()?, address))
                    });
                }
                Some(Ok(Some(ready))) = self.ready.join_next() => return ready,
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// The other process: every node on one port, told apart by address.
pub(super) fn serve(pods: &str) {
    let pods: usize = pods.parse().expect("a number of pods");
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let authority = Authority::new().expect("an authority");
        let names = [OBSERVER_NAME.to_owned()];
        let pair = authority.issue(&names).expect("a certificate");
        let source = CertificateSource::SelfSigned(names.to_vec());
        let tls = ServerTls::new(source, false, Arc::new(Counters::default())).expect("TLS");
        tls.replacer()
            .replace(&pair.certificate, &pair.key)
            .expect("the certificate is good");
        let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let of = async move |headers: HeaderMap| {
            let host = headers[HOST].to_str().unwrap_or_default();
            let bytes: Vec<usize> = host
                .split(['.', ':'])
                .filter_map(|part| part.parse().ok())
                .collect();
            axum::Json(answer(bytes[2] * 250 + bytes[3] - 1, pods))
        };
        let router = Router::new().route("/api/v1/pods", get(of));
        let nodes = Listening {
            listener,
            acceptor: tls.acceptor(),
            ready: tokio::task::JoinSet::new(),
        };
        // Nothing after the last line that is read: the reader leaves.
        print!("{port}\n{}", authority.pair().certificate);
        std::io::stdout().flush().expect("standard output");
        axum::serve(nodes, router).await.expect("served");
    });
}

/// Starts the other process.
pub(super) fn start(pods: usize) -> Nodes {
    let mut child = Command::new(env::current_exe().expect("this program"))
        .env(ASKED, pods.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the nodes");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut line = || lines.next().expect("a line").expect("text");
    let port = line().parse().expect("a port");
    let mut pem = String::new();
    while !pem.contains("END CERTIFICATE") {
        pem.push_str(&line());
        pem.push('\n');
    }
    Nodes { child, port, pem }
}
