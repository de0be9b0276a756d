//! Pods of every shape: several containers, several processes, init and
//! ephemeral containers, static pods, and whatever owns a pod.

use std::{fs, path::PathBuf, time::Duration};

use observer_tests::{
    cluster::{
        Cluster, NODES, Namespace, Observer, SOON, burst,
        namespace::{self, fixture, pod, pod_spec},
        now, turn,
    },
    metrics::Exposition,
    paths::GO,
    wait,
};
use serde_json::{Value, json};

const NODE: &str = NODES[0];
const GOROUTINES: &str = "go_goroutines";
const CREATED: &str = "go_sched_goroutines_created_goroutines_total";

/// A container's series, once it has one.
fn await_series(
    observer: &Observer,
    namespace: &str,
    pod: &str,
    container: &str,
) -> (Exposition, f64) {
    let labels = [
        ("namespace", namespace),
        ("pod", pod),
        ("container", container),
    ];
    wait::until(&format!("figures of {pod}/{container}"), SOON, || {
        let metrics = observer.metrics();
        let live = metrics.value(GOROUTINES, &labels)?;
        Some((metrics, live))
    })
}

/// Which workload a pod is said to be of.
fn owner(metrics: &Exposition, namespace: &str, pod: &str) -> (String, String) {
    let labels = [("namespace", namespace), ("pod", pod)];
    let info: Vec<_> = metrics.select("observer_pod_info", &labels).collect();
    assert_eq!(info.len(), 1, "{pod}: {info:?}");
    let label = |name: &str| info[0].labels.get(name).cloned().unwrap_or_default();
    (label("workload_kind"), label("workload"))
}

fn serving_at(mut container: Value, port: u16) -> Value {
    container["env"] = json!([{ "name": "LISTEN", "value": format!(":{port}") }]);
    container
}

#[test]
fn containers_of_one_pod_are_told_apart() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let observer = Observer::on(&cluster, NODE);
    let namespace = Namespace::create(&cluster, "containers");
    let mut object = pod(
        "many",
        Some(NODE),
        &[
            namespace::burst("old", burst::VERSIONS[0]),
            serving_at(namespace::burst("new", burst::NEWEST), 8081),
        ],
    );
    let first = fixture("first", "short", GO, "default", &["30", "3s"]);
    object["spec"]["initContainers"] = json!([first]);
    namespace.apply(object);

    // While it runs it has a series, in which all are that it says at its end.
    let of = |container| {
        [
            ("namespace", namespace.name.clone()),
            ("pod", "many".to_owned()),
            ("container", container),
        ]
    };
    await_series(&observer, &namespace.name, "many", "first");
    let first = of("first".to_owned());
    let first = first
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let mut created = None;
    wait::until("the containers after the first", SOON, || {
        let metrics = observer.metrics();
        created = metrics.value(CREATED, &first).or(created);
        let pod = namespace.find("pod", "many")?;
        (pod["status"]["phase"] == "Running").then_some(())
    });
    let said: Value =
        serde_json::from_str(&namespace.log("many", "first")).expect("what it created");
    wait::comes_true(Duration::from_secs(20), || {
        created = observer.metrics().value(CREATED, &first).or(created);
        created == said["created"].as_f64()
    });
    assert_eq!(created, said["created"].as_f64(), "{said}");

    let ip = namespace.ready("many")["status"]["podIP"].clone();
    burst::started(&namespace, "many", "old");
    let before = burst::ask(ip.as_str().expect("an address"), "/figures");
    burst::ask(ip.as_str().expect("an address"), "/leak?n=321");
    for (container, version, more) in [
        ("old", burst::VERSIONS[0], 321.0),
        ("new", burst::NEWEST, 0.0),
    ] {
        let (metrics, _) = await_series(&observer, &namespace.name, "many", container);
        let info = of(container.to_owned());
        let info = info.each_ref().map(|(name, value)| (*name, value.as_str()));
        let release: Vec<_> = metrics.select("go_info", &info).collect();
        assert_eq!(release.len(), 1, "{release:?}");
        assert_eq!(release[0].labels["version"], format!("go{version}"));
        let live = observer.metrics_after(now()).value(GOROUTINES, &info);
        let live = live.expect("live goroutines");
        let few = before.num_goroutine as f64 + 5.0;
        assert!((more..more + few).contains(&live), "{container}: {live}");
    }
}

#[test]
fn processes_of_one_container_are_one_series() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let observer = Observer::on(&cluster, NODE);
    let namespace = Namespace::create(&cluster, "processes");
    let short = format!("/fixtures/short-{GO}-default");
    let parent = fixture(
        "family",
        "parent",
        GO,
        "default",
        &["3", "3", &short, "40", "20s"],
    );
    let mut object = pod("family", Some(NODE), &[parent]);
    object["spec"]["restartPolicy"] = json!("Never");
    namespace.apply(object);

    let labels = [
        ("namespace", namespace.name.as_str()),
        ("pod", "family"),
        ("container", "family"),
    ];
    let (processes, metrics) = wait::until("four processes at rest", SOON, || {
        let before = observer.processes(&namespace.name, "family", "family");
        let metrics = observer.metrics_after(now());
        let after = observer.processes(&namespace.name, "family", "family");
        let figures = |one: &Value| created_by(one).zip(live_in(one));
        let still = |list: &[Value]| list.iter().map(figures).collect::<Option<Vec<_>>>();
        let same = before.len() == 4 && still(&before).is_some() && still(&before) == still(&after);
        same.then_some((after, metrics))
    });
    let sum = |of: &dyn Fn(&Value) -> Option<u64>| -> u64 {
        processes.iter().map(|one| of(one).expect("known")).sum()
    };
    let (created, live) = (sum(&created_by), sum(&live_in));
    assert_eq!(metrics.value(CREATED, &labels), Some(created as f64));
    assert_eq!(metrics.value(GOROUTINES, &labels), Some(live as f64));
    assert_eq!(metrics.select(GOROUTINES, &labels).count(), 1);

    namespace.phase("family", "Succeeded");
    let said: Value =
        serde_json::from_str(&namespace.log("family", "family")).expect("what they created");
    let children = processes
        .iter()
        .filter(|one| one["process"] != json!(parent_file()));
    let seen: u64 = children.map(|one| created_by(one).expect("known")).sum();
    assert_eq!(said["children"], 3);
    assert_eq!(said["created"], seen, "{processes:?}");
}

fn parent_file() -> String {
    format!("parent-{GO}-default")
}

fn created_by(process: &Value) -> Option<u64> {
    process["figures"]["goroutines"]["created"].as_u64()
}

fn live_in(process: &Value) -> Option<u64> {
    process["figures"]["goroutines"]["live"].as_u64()
}

/// A manifest in the folder of a kubelet. Removed when dropped.
struct Static(PathBuf);

impl Drop for Static {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn static_pods_and_ephemeral_containers_have_names() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let observer = Observer::on(&cluster, NODE);
    let namespace = Namespace::create(&cluster, "odd");
    let folder = cluster
        .env("NODE_A_MANIFESTS")
        .expect("static pods' folder");
    let mut object = pod("fixed", None, &[namespace::burst("main", burst::NEWEST)]);
    object["metadata"]["namespace"] = json!(namespace.name);
    let manifest = Static(PathBuf::from(folder).join(format!("{}.json", namespace.name)));
    fs::write(&manifest.0, object.to_string()).expect("the manifest");
    namespace.apply(pod(
        "asked",
        Some(NODE),
        &[namespace::burst("main", burst::VERSIONS[0])],
    ));
    namespace.ready("asked");
    namespace.kubectl(&[
        "debug",
        "asked",
        &format!("--image=go-observer/burst:go{}", burst::VERSIONS[1]),
        "--image-pull-policy=Never",
        "--container=debugger",
        "--env=LISTEN=:8082",
        "--attach=false",
        "--quiet",
    ]);
    for (pod, container, version) in [
        ("fixed-node-a", "main", burst::NEWEST),
        ("asked", "main", burst::VERSIONS[0]),
        ("asked", "debugger", burst::VERSIONS[1]),
    ] {
        let (metrics, _) = await_series(&observer, &namespace.name, pod, container);
        let labels = [
            ("namespace", namespace.name.as_str()),
            ("pod", pod),
            ("container", container),
        ];
        let info: Vec<_> = metrics.select("go_info", &labels).collect();
        assert_eq!(info[0].labels["version"], format!("go{version}"), "{pod}");
        let owner = owner(&metrics, &namespace.name, pod);
        let expected = if pod == "fixed-node-a" {
            ("Node".to_owned(), NODE.to_owned())
        } else {
            Default::default()
        };
        assert_eq!(owner, expected, "{pod}");
    }
}

#[test]
fn a_pods_owner_is_told_whatever_it_is() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let observers = NODES.map(|node| Observer::on(&cluster, node));
    let namespace = Namespace::create(&cluster, "owners");
    let template = |spec: Value, restart: &str| {
        let mut spec = spec;
        spec["restartPolicy"] = json!(restart);
        json!({ "metadata": { "labels": { "app": "owned" } }, "spec": spec })
    };
    let spec = || pod_spec(None, &[namespace::burst("main", burst::NEWEST)]);
    let selector = json!({ "matchLabels": { "app": "owned" } });
    let apps = |kind: &str, mut more: Value| {
        more["selector"] = selector.clone();
        more["template"] = template(spec(), "Always");
        json!({ "apiVersion": "apps/v1", "kind": kind, "metadata": { "name": "owner" }, "spec": more })
    };
    namespace.apply(apps(
        "StatefulSet",
        json!({ "serviceName": "owner", "replicas": 1 }),
    ));
    namespace.apply(apps("DaemonSet", json!({})));
    namespace.apply(apps("ReplicaSet", json!({ "replicas": 1 })));
    // Not over before all the others have begun.
    let short = fixture("main", "short", GO, "default", &["5", "5m"]);
    namespace.apply(json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": "owner" },
        "spec": { "template": template(pod_spec(None, &[short]), "Never") },
    }));
    let mut expected = ["DaemonSet", "DaemonSet", "Job", "ReplicaSet", "StatefulSet"]
        .map(|kind| (kind.to_owned(), "owner".to_owned()))
        .to_vec();
    expected.sort();
    let mut last = Vec::new();
    let right = wait::comes_true(Duration::from_secs(60), || {
        last = observers
            .iter()
            .flat_map(|one| owners(&one.metrics(), &namespace.name))
            .collect();
        last.sort();
        last == expected
    });
    assert!(right, "{last:?}");
    // The same for people, at the process.
    for one in &observers {
        for pod in namespace.list("pods") {
            let name = pod["metadata"]["name"].as_str().expect("a name");
            for process in one.processes(&namespace.name, name, "main") {
                let owner = &pod["metadata"]["ownerReferences"][0];
                let workload = &process["kubernetes"]["workload"];
                assert_eq!(workload["kind"], owner["kind"], "{process}");
                assert_eq!(workload["name"], owner["name"], "{process}");
            }
        }
    }
}

/// Pods may carry a lot of text, and name any owner. What is told of them stays
/// small, and one line of one label.
#[test]
fn what_strangers_write_on_their_pods_is_shown_as_text() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let observer = Observer::on(&cluster, NODE);
    let namespace = Namespace::create(&cluster, "strangers");
    let html = "<img src=x onerror=alert(1)>\nworld";
    for (name, owner) in [("written", html.to_owned()), ("long", "x".repeat(4096))] {
        let mut object = pod(name, Some(NODE), &[namespace::burst("main", burst::NEWEST)]);
        let labels = (0..64).map(|n| (format!("label-{n}"), json!("v".repeat(63))));
        object["metadata"]["labels"] = labels.collect();
        object["metadata"]["annotations"] = json!({ "example.org/text": html.repeat(5_000) });
        object["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "example.org/v1",
            "kind": "<b>Kind</b>",
            "name": owner,
            "uid": "3f1c1d2e-0000-4000-8000-000000000001",
            "controller": true,
        }]);
        namespace.apply_new(object);
    }
    for (name, expected) in [("written", Some(html)), ("long", None)] {
        let (metrics, _) = await_series(&observer, &namespace.name, name, "main");
        let (kind, workload) = owner(&metrics, &namespace.name, name);
        assert_eq!(kind, expected.map_or("", |_| "<b>Kind</b>"));
        // No line can be begun in a label.
        assert_eq!(workload, expected.unwrap_or("").replace('\n', "\u{fffd}"));
        // The table takes snapshots in a moment after they are there.
        let row = wait::until("its row", SOON, || {
            let text = observer.get("/api/v1/containers");
            let table: Value =
                serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
            let rows = table["rows"].as_array().expect("rows");
            let is_it = |row: &&Value| row["pod"] == name && row["namespace"] == *namespace.name;
            rows.iter().find(is_it).cloned()
        });
        let workload = expected.map(|name| format!("<b>Kind</b>/{name}"));
        assert_eq!(row["workload"], json!(workload), "{row}");
        assert!(row.to_string().len() < 4096, "{row}");
    }
}

fn owners(metrics: &Exposition, namespace: &str) -> Vec<(String, String)> {
    let pods: Vec<_> = metrics
        .select("observer_pod_info", &[("namespace", namespace)])
        .map(|series| series.labels["pod"].clone())
        .collect();
    pods.iter()
        .map(|pod| owner(metrics, namespace, pod))
        .collect()
}
