//! What a request for many pods costs the adapter, by how many nodes they are
//! on. The nodes are simulated by another process: TLS, HTTP and JSON are real,
//! each node has an address of its own on loopback and answers with as many
//! pods as a real one would.

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Write as _},
    net::{IpAddr, Ipv4Addr},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    http::{HeaderMap, header::HOST},
    routing::get,
};
use kube::runtime::watcher::Event;
use observer::{
    adapter::{
        api::{
            group::Groups,
            path::{Asked, Request, WorkloadKind},
            selector::Selector,
        },
        data::{
            fan_out::{FanOut, Limits},
            node_client::{NodeClient, OBSERVER_NAME},
            objects::Pod,
            values::{Selectors, Values},
            watches::Shared,
        },
        pki::Authority,
        telemetry::Telemetry,
    },
    auth::{
        Counters,
        tls::{CertificateSource, ServerTls},
    },
    scaling::{
        Histogram,
        wire::{ContainerFigures, NodePods, Now, Over},
    },
};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// Says that this process is the nodes, and how many pods each has.
pub(crate) const NODES: &str = "OBSERVER_BENCH_NODES";
const ROUNDS: usize = 30;
const METRIC: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/go_goroutines";
/// Nodes, and pods on each.
const ROWS: [(usize, usize); 3] = [(100, 10), (1000, 10), (5000, 20)];

fn address(node: usize) -> IpAddr {
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
        now: Now {
            goroutines: Some(100),
            runnable: Some(2),
            processors: Some(4),
            heap_bytes: Some(64 << 20),
            next_gc_bytes: Some(128 << 20),
            limited_heap_bytes: Some(0),
            limit_bytes: Some(0),
        },
        over: Some(Over {
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
        containers: containers.collect(),
    }
}

struct Nodes {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    ready: tokio::task::JoinSet<Option<(TlsStream<TcpStream>, std::net::SocketAddr)>>,
}

impl axum::serve::Listener for Nodes {
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
pub(crate) fn nodes(pods: &str) {
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
        let nodes = Nodes {
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

/// Starts the other process: it, its port and the authority of its certificate.
fn start(pods: usize) -> (Child, u16, String) {
    let mut child = Command::new(env::current_exe().expect("this program"))
        .env(NODES, pods.to_string())
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
    (child, port, pem)
}

fn cluster(nodes: usize, pods: usize) -> Shared {
    let shared = Shared::default();
    let mut objects = shared.write();
    for kind in WorkloadKind::ALL {
        let table = objects.workloads.entry(kind).or_default();
        table.take(Event::<()>::InitDone, |()| unreachable!("no object"));
    }
    objects
        .nodes
        .take(Event::<()>::InitDone, |()| unreachable!("no object"));
    objects
        .pods
        .take(Event::<()>::InitDone, |()| unreachable!("no object"));
    let mut add = |namespace: &str, name: String, uid: String, node: usize, at: Option<IpAddr>| {
        let pod = Pod {
            namespace: namespace.to_owned(),
            name: name.clone(),
            uid,
            node: format!("node-{node}"),
            labels: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
            running: true,
            place: at.map(Into::into),
        };
        let placed = (namespace.to_owned(), name, pod);
        objects.pods.take(Event::Apply(placed), |placed| placed);
    };
    for node in 0..nodes {
        let observer = format!("observer-{node}");
        add(
            "go-observer",
            observer.clone(),
            observer,
            node,
            Some(address(node)),
        );
        for pod in 0..pods {
            let (name, uid) = (format!("pod-{node}-{pod}"), format!("uid-{node}-{pod}"));
            add("shop", name, uid, node, None);
        }
    }
    drop(objects);
    shared
}

fn resident_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kib.expect("its memory") / 1024
}

/// Milliseconds of requests that ask every node, and of those that need not,
/// each as median and 99th percentile; and the memory of it.
fn measure(nodes: usize, pods: usize) -> [String; 3] {
    let (mut child, port, pem) = start(pods);
    let token = tempfile::NamedTempFile::new().expect("a file");
    fs::write(token.path(), "token").expect("written");
    let shared = cluster(nodes, pods);
    let runtime = Runtime::new().expect("a runtime");
    let run = |fresh: Duration| {
        let telemetry = Arc::new(Telemetry::default());
        let client = NodeClient::new(port, token.path().to_owned());
        client.trust(pem.as_bytes()).expect("the authority is good");
        let limits = Limits {
            fresh,
            stale: Duration::from_secs(60),
            patience: Duration::from_secs(30),
        };
        let fan_out = FanOut::new(client, limits, Arc::clone(&telemetry));
        let namespace = "go-observer".to_owned();
        let values = Values::new(shared.clone(), fan_out, namespace, telemetry);
        let request = Request::of(Groups::Custom, "get", METRIC).expect("a path");
        let Asked::Values(target) = request.asked else {
            unreachable!("{METRIC} asks for values")
        };
        let selectors = Selectors {
            objects: Selector::parse("app=web").expect("a selector"),
            ..Selectors::default()
        };
        let mut took: Vec<f64> = Vec::new();
        // The first makes the connections.
        for round in 0..=ROUNDS {
            let begin = Instant::now();
            let items = runtime
                .block_on(values.get(&target, &selectors))
                .expect("values");
            assert_eq!(items.len(), nodes * pods, "every pod has its value");
            if round > 0 {
                took.push(begin.elapsed().as_secs_f64() * 1e3);
            }
        }
        took.sort_by(f64::total_cmp);
        let text = format!("{:.1} / {:.1}", took[ROUNDS / 2], took[ROUNDS * 99 / 100]);
        (text, resident_mib())
    };
    let (cached, _) = run(Duration::from_secs(60));
    let (asked, memory) = run(Duration::ZERO);
    child.kill().expect("the nodes end");
    child.wait().expect("the nodes ended");
    [asked, cached, memory.to_string()]
}

/// The table.
pub(crate) fn table() -> String {
    let mut table = format!(
        "Milliseconds of a request for all pods, median / 99th percentile of {ROUNDS}, \
         over TLS connections that are kept. The simulated nodes share the machine.\n\n\
         | nodes | pods | every node asked | figures fresh | adapter's memory, MiB |\n\
         | --- | --- | --- | --- | --- |\n"
    );
    for (nodes, pods) in ROWS {
        let [asked, cached, memory] = measure(nodes, pods);
        let all = nodes * pods;
        let _ = writeln!(table, "| {nodes} | {all} | {asked} | {cached} | {memory} |");
    }
    table
}
