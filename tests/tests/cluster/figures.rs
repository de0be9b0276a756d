//! Whose figures they are, and whether they are the program's own.

use std::{collections::BTreeMap, time::Duration};

use observer_tests::{
    cluster::{
        Cluster, Namespace, Observer,
        burst::VERSIONS,
        namespace::{fixture, pod_spec},
        now, observers,
        prometheus::{Prometheus, SCRAPED},
        turn,
    },
    metrics::Exposition,
    state::{Report, STILL},
    wait,
    workload::Conversation,
};
use serde_json::{Value, json};

const CONTAINER: &str = "state";

/// One replica, which obeys letters.
struct Replica {
    pod: String,
    node: String,
    version: &'static str,
    talk: Conversation,
}

impl Replica {
    fn obey(&mut self, letters: &str) {
        for letter in letters.chars() {
            self.talk.send(letter.encode_utf8(&mut [0; 4]));
            assert_eq!(self.talk.hear(), "done", "{} at {letter}", self.pod);
        }
    }

    /// What it says of itself while it stands still.
    fn report(&mut self) -> Report {
        self.talk.send("r");
        let line = self.talk.hear();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{}: {line:?}: {e}", self.pod))
    }
}

/// Two replicas on two nodes, built with this release and stripped.
fn deployment(version: &str) -> Value {
    let name = workload(version);
    let mut spec = pod_spec(
        None,
        &[fixture(CONTAINER, "state", version, "stripped", &[])],
    );
    spec["topologySpreadConstraints"] = json!([{
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": { "matchLabels": { "app": name } },
    }]);
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": { "app": name } },
            "template": { "metadata": { "labels": { "app": name } }, "spec": spec },
        },
    })
}

fn workload(version: &str) -> String {
    format!("go-{}", version.replace('.', "-"))
}

fn replicas(namespace: &Namespace) -> Vec<Replica> {
    let running = wait::until("six pods running", Duration::from_secs(60), || {
        let mut pods = namespace.list("pods");
        pods.retain(|pod| pod["status"]["phase"] == "Running");
        (pods.len() == 2 * VERSIONS.len()).then_some(pods)
    });
    running
        .iter()
        .map(|pod| {
            let text = |value: &Value| value.as_str().expect("text").to_owned();
            let name = text(&pod["metadata"]["name"]);
            let app = text(&pod["metadata"]["labels"]["app"]);
            let version = VERSIONS.into_iter().find(|v| workload(v) == app);
            Replica {
                node: text(&pod["spec"]["nodeName"]),
                version: version.expect("a release of the test"),
                talk: Conversation::start(namespace.attach(&name, CONTAINER)),
                pod: name,
            }
        })
        .collect()
}

/// What is scraped of a program that stands still and what it says then.
fn compare(seen: &Exposition, labels: &[(&str, &str)], said: &Report) -> Vec<String> {
    let stats = &said.memstats;
    let seconds = |ns: u64| ns as f64 / 1e9;
    let mut figures = vec![
        ("go_goroutines", said.goroutines as f64),
        ("go_gc_cycles_total_gc_cycles_total", stats.num_gc as f64),
        (
            "go_gc_cycles_forced_gc_cycles_total",
            stats.num_forced_gc as f64,
        ),
        ("go_gc_duration_seconds_count", stats.num_gc as f64),
        ("go_gc_duration_seconds_sum", seconds(stats.pause_total_ns)),
        ("go_memstats_heap_objects", stats.heap_objects as f64),
        ("go_memstats_alloc_bytes", stats.heap_alloc as f64),
        ("go_memstats_alloc_bytes_total", stats.total_alloc as f64),
        ("go_memstats_mallocs_total", stats.mallocs as f64),
        ("go_memstats_frees_total", stats.frees as f64),
        ("go_memstats_next_gc_bytes", stats.next_gc as f64),
        ("go_memstats_last_gc_time_seconds", seconds(stats.last_gc)),
        ("go_sched_gomaxprocs_threads", said.gomaxprocs as f64),
    ];
    if let Some(created) = said.count("/sched/goroutines-created:goroutines") {
        figures.push((
            "go_sched_goroutines_created_goroutines_total",
            created as f64,
        ));
    }
    figures
        .into_iter()
        .filter_map(|(name, truth)| {
            let seen = seen.value(name, labels);
            // Seconds are written in full; a double has 15 digits.
            let equal = seen.is_some_and(|seen| (seen - truth).abs() <= truth.abs() * 1e-15);
            (!equal).then(|| format!("{labels:?} {name}: said {truth}, seen {seen:?}"))
        })
        .collect()
}

/// Every series of the namespace names its pod and container, and is told by
/// the observer of the pod's node only.
fn check_labels(namespace: &Namespace, replicas: &[Replica], seen: &BTreeMap<String, Exposition>) {
    for (node, exposition) in seen {
        let mut pods = BTreeMap::<String, usize>::new();
        for (name, series) in exposition.all() {
            let label = |name: &str| series.labels.get(name).map_or("", String::as_str);
            if name.starts_with("go_") {
                let known = ["namespace", "pod", "container"].map(label);
                assert!(!known.contains(&""), "{node} {name}: {series:?}");
            }
            if label("namespace") != namespace.name {
                continue;
            }
            let replica = replicas.iter().find(|one| one.pod == label("pod"));
            let replica = replica.unwrap_or_else(|| panic!("{name} of a stranger: {series:?}"));
            assert_eq!(&replica.node, node, "{name}: {series:?}");
            if name == "observer_pod_info" {
                let owner = (label("workload_kind"), label("workload"));
                let expected = workload(replica.version);
                assert_eq!(owner, ("Deployment", expected.as_str()), "{series:?}");
                continue;
            }
            assert_eq!(label("container"), CONTAINER, "{name}: {series:?}");
            *pods.entry(replica.pod.clone()).or_default() += 1;
        }
        assert_eq!(pods.len(), VERSIONS.len(), "{node}: {pods:?}");
        assert!(pods.values().all(|series| *series > 30), "{node}: {pods:?}");
    }
}

fn scrape(observers: &[Observer], after: f64) -> BTreeMap<String, Exposition> {
    observers
        .iter()
        .map(|one| (one.node.clone(), one.metrics_after(after)))
        .collect()
}

#[test]
fn stripped_programs_of_three_releases_on_two_nodes() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let observers = observers(&cluster);
    let namespace = Namespace::create(&cluster, "figures");
    for version in VERSIONS {
        namespace.apply(deployment(version));
    }
    let mut replicas = replicas(&namespace);
    for replica in &mut replicas {
        replica.obey("gpacg");
    }
    // A runtime may start a thread between the two looks, which allocates; what is read
    // wrongly is so each time.
    let (mut seen, mut wrong, mut said) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
    for _ in 0..3 {
        seen = scrape(&observers, now() + STILL.as_secs_f64());
        wrong.clear();
        for replica in &mut replicas {
            let report = replica.report();
            assert_eq!(report.version, format!("go{}", replica.version));
            let labels = [
                ("namespace", namespace.name.as_str()),
                ("pod", &replica.pod),
                ("container", CONTAINER),
            ];
            wrong.extend(compare(&seen[&replica.node], &labels, &report));
            said.insert(replica.pod.clone(), report);
        }
        if wrong.is_empty() {
            break;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    check_labels(&namespace, &replicas, &seen);
    in_prometheus(&cluster, &namespace, &replicas, &said);
}

/// The same by query, with the node that told it; and by recording rules.
fn in_prometheus(
    cluster: &Cluster,
    namespace: &Namespace,
    replicas: &[Replica],
    said: &BTreeMap<String, Report>,
) {
    let prometheus = cluster.prometheus();
    let of = |name: &str| format!("{name}{{namespace=\"{}\"}}", namespace.name);
    for (name, truth) in [
        (
            "go_goroutines",
            (|said| said.goroutines) as fn(&Report) -> u64,
        ),
        ("go_gc_cycles_total_gc_cycles_total", |said| {
            said.memstats.num_gc
        }),
    ] {
        prometheus.await_query(&of(name), |series| {
            series.len() == replicas.len()
                && replicas.iter().all(|replica| {
                    series.iter().any(|one| {
                        one.labels["pod"] == replica.pod
                            && one.labels["container"] == CONTAINER
                            && one.labels["node"] == replica.node
                            && one.labels["job"] == "go-observer"
                            && one.value == truth(&said[&replica.pod]) as f64
                    })
                })
        });
    }
    prometheus.await_query(&of("namespace_workload:go_goroutines:sum"), |series| {
        VERSIONS.iter().all(|version| {
            let of_version = replicas.iter().filter(|one| one.version == *version);
            let sum: u64 = of_version.map(|one| said[&one.pod].goroutines).sum();
            series.iter().any(|one| {
                one.labels["workload_kind"] == "Deployment"
                    && one.labels["workload"] == workload(version)
                    && one.value == sum as f64
            })
        })
    });
    rules(&prometheus);
}

/// All rules are loaded, and each is evaluated without an error: a group waits
/// up to its interval before its first time.
fn rules(prometheus: &Prometheus) {
    let mut last = Vec::new();
    let well = wait::comes_true(SCRAPED, || {
        let data = prometheus.api("rules");
        let groups = data["groups"].as_array().expect("groups");
        assert_eq!(groups.len(), 4, "{groups:?}");
        last = groups
            .iter()
            .filter_map(|group| group["rules"].as_array())
            .flatten()
            .filter(|rule| rule["health"] != "ok")
            .cloned()
            .collect();
        last.is_empty()
    });
    assert!(well, "{last:?}");
}
