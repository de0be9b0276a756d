//! More connections than there are places.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use observer_node::auth::SecurityFigures;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpStream;

use super::{ConnectionLimits, DAY, PATH, connect};
use crate::{
    fixtures::{Front, World, limits},
    telemetry::Nodes,
};

const CROWD: usize = 10_000;

fn resident_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kib.unwrap() / 1024
}

fn figure(world: &World, name: &str) -> usize {
    let text = world
        .telemetry
        .text(Nodes::default(), &SecurityFigures::default())
        .unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim().parse().unwrap()
}

/// Both ends of all these connections are this process's.
fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_connections_keep_neither_aggregator_nor_probe_out() {
    raise_limit();
    let world = World::new(limits()).listed(&[]);
    let front = Front::within(
        &world,
        ConnectionLimits::of_adapter(),
        std::future::pending(),
    )
    .await;
    let proxy = front.proxies.client("front-proxy-client", &[], DAY);
    let jane = [("X-Remote-User", "jane")];
    let kept = front.caller(Some(&proxy));
    assert_eq!(kept.ask("GET", PATH, &jane).await.0, 200);
    let before = resident_mib();
    let done = AtomicBool::new(false);
    let crowd = async {
        let mut plain = Vec::new();
        let mut shaken = Vec::new();
        for index in 0..CROWD {
            if index % 20 == 0 {
                shaken.push(connect(&front, b"h2").await);
            } else {
                plain.push(TcpStream::connect(front.address).await.unwrap());
            }
        }
        done.store(true, Ordering::Relaxed);
        (plain, shaken)
    };
    let aggregator = async {
        let mut slowest = Duration::ZERO;
        while !done.load(Ordering::Relaxed) {
            let begun = Instant::now();
            assert_eq!(kept.ask("GET", PATH, &jane).await.0, 200);
            // One that has just started, and a probe.
            let new = front.caller(Some(&proxy));
            assert_eq!(new.ask("GET", PATH, &jane).await.0, 200);
            let probe = front.old_caller(None);
            assert_eq!(probe.ask("GET", "/readyz", &[]).await.0, 200);
            slowest = slowest.max(begun.elapsed());
        }
        slowest
    };
    let (crowd, slowest) = tokio::join!(crowd, aggregator);
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    assert_eq!(kept.ask("GET", PATH, &jane).await.0, 200);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let open = figure(&world, "observer_adapter_connections ");
    assert!(open <= 1024 + 256, "{open}");
    let gone = figure(&world, "observer_adapter_connections_crowded_out_total ");
    assert!(gone >= CROWD - 1024 - 256, "{gone}");
    let grown = resident_mib().saturating_sub(before);
    assert!(
        grown < 256,
        "{grown} MiB, with both ends of the connections"
    );
    eprintln!(
        "{CROWD} connections: {open} open, {gone} crowded out, slowest turn {slowest:?}, {grown} MiB more"
    );
    drop(crowd);
}
