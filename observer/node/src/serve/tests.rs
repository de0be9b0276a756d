//! The server as a client sees it, over real sockets.

mod events;

use std::{
    io::Read,
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use observer_go::binary::{Figure, Reason};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
    task::JoinHandle,
};

use super::{serve, serve_within};
use crate::{
    auth::Security,
    fixtures::{in_container, lacking, observation, snapshot, with_gc, with_state},
    listen::Bounds,
    node::{Cluster, PodWatch, Snapshot},
    vitals::Vitals,
};

type Sender = watch::Sender<Option<Arc<Snapshot>>>;

struct Server {
    address: std::net::SocketAddr,
    snapshots: Sender,
    vitals: Vitals,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

async fn start() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (snapshots, receiver) = watch::channel(None);
    let (stop, stopped) = oneshot::channel();
    let vitals = Vitals::default();
    let task = tokio::spawn(serve(
        vec![listener],
        receiver,
        Security::default(),
        vitals.clone(),
        async { drop(stopped.await) },
    ));
    Server {
        address,
        snapshots,
        vitals,
        stop,
        task,
    }
}

impl Server {
    async fn ask(&self, method: &str, path: &str, accept: &str) -> (u16, String, String) {
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
    async fn bytes(&self, path: &str, coding: &str) -> (String, Vec<u8>) {
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
        vitals,
        stop,
        task,
    } = start().await;
    snapshots.send(Some(snapshot(vec![]))).unwrap();
    drop(snapshots);
    let server = Server {
        address,
        snapshots: watch::channel(None).0,
        vitals,
        stop,
        task,
    };
    assert_eq!(server.ask("GET", "/metrics", "*/*").await.0, 503);
}

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
async fn alive_while_every_part_lives() {
    let server = start().await;
    let engine = server.vitals.part("engine");
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

#[tokio::test]
async fn processes_have_the_documented_form() {
    let server = start().await;
    let process = lacking(
        with_gc(observation(10, "/srv/shop")),
        Figure::Goroutines,
        Reason::StartedBefore,
    );
    let process = in_container(process, &"ab".repeat(32));
    server
        .snapshots
        .send(Some(snapshot(vec![process])))
        .unwrap();
    let (_, head, body) = server.ask("GET", "/api/v1/processes", "*/*").await;
    assert!(head.contains("content-type: application/json"));
    let exact = json!({"covered": true, "reason": null, "detail": null});
    let cycles = |n: u64| json!({"started": n, "completed": n});
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap(),
        json!([{
            "pid": 10, "inner_pid": 1, "process": "shop", "exe": "/srv/shop", "exe_deleted": false, "ended": null,
            "container": {"id": "ab".repeat(32), "runtime": "containerd", "pod_uid": null},
            "origin": null, "kubernetes": null,
            "binary": {
                "version": "go1.26.8", "path": "example.com/shop/cmd/server", "build_mode": "pie", "stripped": true,
                "library": null,
                "module": {"path": "example.com/shop", "version": "v1.4.2"}, "build_id": "abc123",
            },
            "coverage": {
                "goroutines_created": exact, "goroutines_exited": exact, "gc_cycles": exact, "gc_pauses": exact,
                "other_stops": exact,
                "goroutines": {"covered": false, "reason": "started_before", "detail": "goroutines is not there"},
            },
            "figures": {
                "from_start": true,
                "goroutines": {"created": 1010, "exited": 1000, "system_created": 5, "system_exited": 0, "live": null},
                "state": null,
                "gc": {
                    "cycles": {"heap": cycles(2), "time": cycles(0), "forced": cycles(1), "unknown": cycles(0)},
                    "pauses": {
                        "gc_mark_termination": {"count": 3, "total_ns": 90_000, "stopping_ns": 9_000},
                        "gc_sweep_termination": {"count": 3, "total_ns": 60_000, "stopping_ns": 6_000},
                        "read_mem_stats": {"count": 1, "total_ns": 20_000_000, "stopping_ns": 1_000},
                    },
                    "pause_total_ns": 150_000, "mark_ns": 3_000_000, "whole_cycles": 3,
                    "last_cycle": {"sweep_termination_ns": 20_000, "mark_ns": 1_000_000, "mark_termination_ns": 30_000},
                },
            },
            "probes": {
                "hits": 2119, "cost_ns": 0, "hot": true, "exact": true, "batch": true,
                "counted": {"created": 1010, "exited": 1000, "batches": 64},
            },
        }])
    );
}

#[tokio::test]
async fn the_state_is_served_beside_the_events() {
    let server = start().await;
    let process = with_state(observation(10, "/srv/shop"));
    server
        .snapshots
        .send(Some(snapshot(vec![process])))
        .unwrap();
    let (_, _, body) = server.ask("GET", "/api/v1/processes", "*/*").await;
    let process = &serde_json::from_str::<Value>(&body).unwrap()[0];
    let figures = &process["figures"];
    assert_eq!(figures["goroutines"]["created"], 2000);
    assert_eq!(process["probes"]["counted"]["created"], 1010);
    assert_eq!(figures["goroutines"]["live"], 7);
    let state = &figures["state"];
    assert_eq!(state["at"], 1_800_000_000.0);
    assert_eq!(
        state["goroutines"],
        json!({
            "live": 7, "created": 2000, "exited": 1990, "ids": 2016, "runnable": 3,
            "states": {"running": 1, "not_in_go": 2, "waiting": 6},
        })
    );
    assert_eq!(state["collections"]["cycles"], 30);
    assert_eq!(state["allocation"]["mallocs"], 10_000);
    assert_eq!(state["settings"]["gogc_percent"], u64::MAX);
}

#[tokio::test]
async fn goroutines_are_walked_of_observed_processes_only() {
    let server = start().await;
    assert_eq!(
        server
            .ask("GET", "/api/v1/processes/10/goroutines", "*/*")
            .await
            .0,
        503
    );
    let own = std::process::id();
    server
        .snapshots
        .send(Some(snapshot(vec![observation(own, "/srv/shop")])))
        .unwrap();
    for (path, status) in [
        ("/api/v1/processes/1/goroutines".to_owned(), 404),
        ("/api/v1/processes/x/goroutines".to_owned(), 400),
        // It lives, and runs something else than what was observed.
        (format!("/api/v1/processes/{own}/goroutines"), 404),
    ] {
        let (found, _, body) = server.ask("GET", &path, "*/*").await;
        assert_eq!(found, status, "{path}: {body}");
    }
}

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
    let bounds = Bounds {
        strangers: NonZeroUsize::MIN,
        ..Bounds::of_node()
    };
    let vitals = Vitals::default();
    let task = tokio::spawn(serve_within(
        bounds,
        vec![listener],
        receiver,
        Security::default(),
        vitals.clone(),
        async { drop(stopped.await) },
    ));
    let server = Server {
        address,
        snapshots,
        vitals,
        stop,
        task,
    };
    let mut listens = events::Listener::open(address, "/api/v1/events").await;
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
