//! In a cluster: how soon a burst in a pod is on `/metrics`, and what the
//! observer takes with many pods on its node.

use std::{
    fmt::Write as _,
    thread,
    time::{Duration, Instant},
};

use observer_tests::{
    cluster::{
        Cluster, NAMESPACE, Namespace, Observer, SOON, burst,
        namespace::pod_spec,
        now,
        witness::{address, still},
    },
    wait,
};
use serde_json::json;

use super::crowd::{cpu_seconds, megabytes};

const NODE: &str = "node-a";
const BURSTS: usize = 50;
const GOROUTINES: u32 = 500;
const PODS: usize = 100;
const CPU_WINDOW: Duration = Duration::from_secs(20);
/// How often `/metrics` is asked for; this is in the latency.
const POLL: Duration = Duration::from_millis(2);

/// The intervals, and how long goroutines block at each: until they are seen.
const INTERVALS: [(&str, u64); 2] = [("1s", 1200), ("250ms", 450)];

/// The tables.
pub(crate) fn table() -> String {
    let cluster = Cluster::get();
    let mut latency = format!(
        "From the instant at which {GOROUTINES} goroutines live, by the program's own log, to their \
         number on /metrics; {BURSTS} bursts each, at any phase of the interval.\n\n\
         | interval | median | 99th percentile | longest |\n| --- | --- | --- | --- |\n"
    );
    let mut crowd = format!(
        "{PODS} pods of the demo on one node, beside the cluster's own processes.\n\n\
         | interval | CPU, of one core | resident memory | its peak |\n| --- | --- | --- | --- |\n"
    );
    let namespace = Namespace::create(&cluster, "bench");
    for (interval, block) in INTERVALS {
        set_interval(&cluster, Some(interval));
        let sorted = latencies(&namespace, interval, block);
        let at = |percent: usize| sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)];
        let _ = writeln!(
            latency,
            "| {interval} | {:.2} s | {:.2} s | {:.2} s |",
            at(50),
            at(99),
            sorted[sorted.len() - 1]
        );
    }
    start_pods(&namespace);
    for (interval, _) in INTERVALS.iter().rev() {
        set_interval(&cluster, Some(interval));
        let _ = writeln!(crowd, "| {interval} | {} |", taken(&cluster, &namespace));
    }
    set_interval(&cluster, None);
    format!("{latency}\n{crowd}")
}

/// Has both observers read at this interval, or at that of the manifests.
fn set_interval(cluster: &Cluster, interval: Option<&str>) {
    let setting = interval.map_or_else(
        || "OBSERVER_INTERVAL-".to_owned(),
        |interval| format!("OBSERVER_INTERVAL={interval}"),
    );
    let place = ["daemonset/observer", "--namespace", NAMESPACE];
    cluster.kubectl(&[&["set", "env"], place.as_slice(), &[setting.as_str()]].concat());
    cluster.kubectl(&[&["rollout", "status"], place.as_slice()].concat());
}

/// Seconds, sorted.
fn latencies(namespace: &Namespace, interval: &str, block: u64) -> Vec<f64> {
    let pod = format!("burst-{interval}");
    namespace.apply(still(&pod, Some(NODE)));
    let address = address(namespace, &pod);
    let observer = Observer::on(&namespace.cluster, NODE);
    let of = [("namespace", namespace.name.as_str()), ("pod", &pod)];
    let live = || {
        observer
            .metrics()
            .value("go_goroutines", &of)
            .unwrap_or_default()
    };
    let mut seen = Vec::new();
    for burst in 0..BURSTS {
        wait::until("the end of the burst before", SOON, || {
            (live() < f64::from(GOROUTINES)).then_some(())
        });
        // Every phase of the interval.
        thread::sleep(Duration::from_millis(burst as u64 * 137 % 1000));
        let (address, path) = (
            address.clone(),
            format!("/burst?n={GOROUTINES}&block={block}ms"),
        );
        let request = thread::spawn(move || burst::ask(&address, &path));
        let at = loop {
            assert!(!request.is_finished(), "the burst ended before it was seen");
            if live() >= f64::from(GOROUTINES) {
                break now();
            }
            thread::sleep(POLL);
        };
        seen.push(at);
        request.join().expect("the burst");
    }
    let log = burst::log(namespace, &pod, "witness");
    let began: Vec<f64> = log
        .iter()
        .filter(|line| line.event == "burst")
        .map(burst::Line::at)
        .collect();
    assert_eq!(began.len(), seen.len(), "bursts in the log");
    let mut latencies: Vec<f64> = seen
        .iter()
        .zip(&began)
        .map(|(at, began)| at - began)
        .collect();
    latencies.sort_by(f64::total_cmp);
    latencies
}

fn start_pods(namespace: &Namespace) {
    let mut container = still("crowd", None)["spec"]["containers"][0].take();
    container["resources"] = json!({ "requests": { "cpu": "1m", "memory": "4Mi" } });
    let spec = pod_spec(Some(NODE), &[container]);
    namespace.apply(json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "crowd" },
        "spec": {
            "replicas": PODS,
            "selector": { "matchLabels": { "app": "crowd" } },
            "template": { "metadata": { "labels": { "app": "crowd" } }, "spec": spec },
        },
    }));
    namespace.kubectl(&["rollout", "status", "deployment/crowd", "--timeout=240s"]);
}

/// CPU, resident memory and its peak, once all pods are shown.
fn taken(cluster: &Cluster, namespace: &Namespace) -> String {
    let observer = Observer::on(cluster, NODE);
    wait::until("every pod's figures", SOON, || {
        let metrics = observer.metrics();
        let of = [("namespace", namespace.name.as_str())];
        (metrics.select("go_goroutines", &of).count() >= PODS).then_some(())
    });
    thread::sleep(Duration::from_secs(3));
    let pid = observer.process();
    let (begin, before) = (Instant::now(), cpu_seconds(pid));
    thread::sleep(CPU_WINDOW);
    let cpu = 100.0 * (cpu_seconds(pid) - before) / begin.elapsed().as_secs_f64();
    format!(
        "{cpu:.2} % | {:.1} MB | {:.1} MB",
        megabytes(pid, "VmRSS"),
        megabytes(pid, "VmHWM")
    )
}
