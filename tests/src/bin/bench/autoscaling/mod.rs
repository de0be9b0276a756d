//! In a cluster, through the aggregator: how soon a burst in a pod is a value,
//! and how soon the autoscaler has made a replica of it.

mod eager;
mod scraped;

use std::{
    fmt::Write as _,
    thread,
    time::{Duration, Instant},
};

use observer_tests::{
    cluster::{
        Adapter, Cluster, NAMESPACE, Namespace, SOON,
        autoscaler::{SYNC, Scaled, ask_all},
        burst, now, say,
        witness::{address, still},
    },
    wait,
};
use serde_json::Value;

const BURSTS: usize = 50;
const GOROUTINES: u32 = 500;
/// How often the value is asked for; this is in the latency.
const POLL: Duration = Duration::from_millis(2);
/// Deployments that scale at the same time, each at its own phase.
const AT_ONCE: usize = 4;
const ROUNDS: usize = 2;
const WITHIN: Duration = Duration::from_secs(90);

/// How often the observers look, and how old figures the adapter takes
/// without asking.
const SETTINGS: [(&str, &str); 2] = [("1s", "1s"), ("250ms", "250ms")];
/// The tables.
pub(crate) fn table() -> String {
    let cluster = Cluster::get();
    let adapter = Adapter::get(&cluster);
    let mut fresh = format!(
        "From the instant at which {GOROUTINES} goroutines live, by the program's own log, to their \
         number as a value through the aggregator; {BURSTS} bursts each, at any phase.\n\n\
         | `--interval`, `--ttl` | median | 99th percentile | longest |\n| --- | --- | --- | --- |\n"
    );
    let mut scaled = format!(
        "From a burst to more replicas, {} bursts each, at any phase of the autoscaler, which looks \
         every {} s here and every 15 s by default.\n\n\
         | figures | median | longest |\n| --- | --- | --- |\n",
        AT_ONCE * ROUNDS,
        SYNC.as_secs()
    );
    for settings in SETTINGS {
        set(&cluster, Some(settings));
        let sorted = freshness(&adapter, settings.0);
        let row = format!(
            "| {}, {} | {:.2} s | {:.2} s | {:.2} s |",
            settings.0,
            settings.1,
            at(&sorted, 50),
            at(&sorted, 99),
            at(&sorted, 100)
        );
        add(&mut fresh, &row);
        let sorted = scale_up(&adapter, eager::eager, SYNC);
        let row = format!(
            "| every {} | {:.1} s | {:.1} s |",
            settings.0,
            at(&sorted, 50),
            at(&sorted, 100)
        );
        add(&mut scaled, &row);
    }
    set(&cluster, None);
    let by_prometheus = scraped::Path::open(&cluster);
    let sorted = scale_up(&adapter, scraped::by_prometheus, scraped::EVERY);
    drop(by_prometheus);
    let row = format!(
        "| every 1 s, scraped by Prometheus every 15 s, asked by prometheus-adapter | {:.1} s | {:.1} s |",
        at(&sorted, 50),
        at(&sorted, 100)
    );
    add(&mut scaled, &row);
    format!("{fresh}\n{scaled}")
}

/// Adds a row, and shows it: the whole takes minutes.
fn add(table: &mut String, row: &str) {
    say(row);
    let _ = writeln!(table, "{row}");
}

fn at(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// Sets both programs, or has them as the manifests do.
fn set(cluster: &Cluster, settings: Option<(&str, &str)>) {
    let setting = |name: &str, value: Option<&str>| match value {
        Some(value) => format!("{name}={value}"),
        None => format!("{name}-"),
    };
    let place = ["--namespace", NAMESPACE];
    for (what, setting) in [
        (
            "daemonset/observer",
            setting("OBSERVER_INTERVAL", settings.map(|(interval, _)| interval)),
        ),
        (
            "deployment/observer-adapter",
            setting("OBSERVER_TTL", settings.map(|(_, ttl)| ttl)),
        ),
    ] {
        cluster.kubectl(&[&["set", "env", what, &setting], place.as_slice()].concat());
        cluster.kubectl(&[&["rollout", "status", what], place.as_slice()].concat());
    }
}

/// Seconds, sorted.
fn freshness(adapter: &Adapter, interval: &str) -> Vec<f64> {
    let namespace = Namespace::create(&adapter.cluster, "fresh");
    let pod = format!("burst-{interval}");
    namespace.apply(still(&pod, None));
    let address = address(&namespace, &pod);
    let path = format!("namespaces/{}/pods/{pod}/go_goroutines", namespace.name);
    let live = || {
        let answer = adapter.ask("v1beta2", &path);
        let text = answer.body["items"][0]["value"].as_str();
        text.and_then(|text| text.parse::<u32>().ok()).unwrap_or(0)
    };
    let mut latencies: Vec<f64> = (0..BURSTS)
        .map(|burst| {
            burst::ask(&address, "/leak/stop");
            wait::until("the end of the burst before", SOON, || {
                (1..GOROUTINES).contains(&live()).then_some(())
            });
            // Every phase of the interval.
            thread::sleep(Duration::from_millis(burst as u64 * 137 % 1000));
            let began = burst::ask(&address, &format!("/leak?n={GOROUTINES}")).at();
            while live() < GOROUTINES {
                thread::sleep(POLL);
            }
            now() - began
        })
        .collect();
    latencies.sort_by(f64::total_cmp);
    latencies
}

/// Seconds, sorted.
/// Bursts are spread over the period of whatever is slowest.
fn scale_up(adapter: &Adapter, change: fn(&mut Value), period: Duration) -> Vec<f64> {
    let running: Vec<_> = (0..AT_ONCE)
        .map(|n| {
            let adapter = adapter.clone();
            thread::spawn(move || rounds(&adapter, n, change, period))
        })
        .collect();
    let mut all: Vec<f64> = running
        .into_iter()
        .flat_map(|one| one.join().expect("its rounds"))
        .collect();
    all.sort_by(f64::total_cmp);
    all
}

fn rounds(adapter: &Adapter, phase: usize, change: fn(&mut Value), period: Duration) -> Vec<f64> {
    let scaled = Scaled::example(adapter, "hpa-pods", change);
    scaled.await_active();
    scaled.await_ready(2);
    let replicas = scaled.watch();
    (0..ROUNDS)
        .map(|round| {
            replicas.await_at_most(2, WITHIN);
            // Which of them stayed is not ours to say.
            let pods = scaled.await_ready(2);
            // One look at a calm Deployment at least, and then at any phase.
            let apart = (phase * ROUNDS + round) as f64 / (AT_ONCE * ROUNDS) as f64;
            thread::sleep(SYNC + period.mul_f64(apart));
            let begin = Instant::now();
            ask_all(&pods, "/leak?n=235");
            let more = replicas.await_at_least(3, WITHIN);
            ask_all(&pods, "/leak/stop");
            more.duration_since(begin).as_secs_f64()
        })
        .collect()
}
