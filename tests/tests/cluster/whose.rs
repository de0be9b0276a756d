//! A container's figures are its service's: not its probes', not what somebody
//! executes in it.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use observer_tests::{
    cluster::{
        Cluster, NODES, Namespace, Observer, SOON,
        namespace::{fixture, pod},
        now, turn,
    },
    paths::GO,
    wait,
};
use serde_json::{Value, json};

const NODE: &str = NODES[0];
const CONTAINER: &str = "main";
const CREATED: &str = "go_sched_goroutines_created_goroutines_total";
/// Goroutines that each run of the probe creates.
const EACH: u64 = 500;

fn short() -> String {
    format!("/fixtures/short-{GO}-default")
}

/// A pod with a Go program as its main process and another one as a probe that
/// runs each second.
fn probed(name: &str, main: Value) -> Value {
    let mut container = main;
    let command = json!({ "exec": { "command": [short(), EACH.to_string(), "5ms"] } });
    let probe = &mut container["livenessProbe"];
    *probe = command;
    probe["periodSeconds"] = json!(1);
    probe["timeoutSeconds"] = json!(30);
    probe["failureThreshold"] = json!(100);
    pod(name, Some(NODE), &[container])
}

/// The processes that an observer lists of a pod, ended ones too.
fn all(observer: &Observer, namespace: &Namespace, pod: &str) -> Vec<Value> {
    let text = observer.get("/api/v1/processes");
    let all: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    let of = |process: &&Value| {
        let place = &process["kubernetes"];
        place["namespace"] == namespace.name && place["pod"] == pod
    };
    let all = all.as_array().expect("a list");
    all.iter().filter(of).cloned().collect()
}

fn is_probe(process: &Value) -> bool {
    process["process"]
        .as_str()
        .is_some_and(|it| it.starts_with("short"))
}

fn is_counted(process: &Value) -> bool {
    process["kubernetes"]["counted"] == true
}

/// Holds the container's figures against those of the processes that are its
/// service, while probes come and go. `services`: how many of those there are.
fn hold(observer: &Observer, namespace: &Namespace, pod: &str, services: usize) {
    let labels = [
        ("namespace", namespace.name.as_str()),
        ("pod", pod),
        ("container", CONTAINER),
    ];
    let mut probes = BTreeSet::new();
    let until = Instant::now() + wait::patient(Duration::from_secs(90));
    while probes.len() < 10 {
        assert!(
            Instant::now() < until,
            "{pod}: {probes:?} are all that came"
        );
        let metrics = observer.metrics_after(now());
        let listed = all(observer, namespace, pod);
        for process in &listed {
            let place = &process["kubernetes"];
            if !is_probe(process) {
                continue;
            }
            assert_eq!(process["origin"], "injected", "{process}");
            assert_eq!(place["counted"], false, "{process}");
            probes.insert(process["pid"].as_u64());
        }
        let mains: Vec<_> = listed.iter().filter(|it| is_counted(it)).collect();
        let Some(shown) = metrics.value(CREATED, &labels) else {
            continue;
        };
        let created = |it: &&Value| it["figures"]["goroutines"]["created"].as_u64();
        let sum: Option<u64> = mains.iter().map(created).sum();
        assert_eq!(mains.len(), services, "{mains:?}");
        let sum = sum.expect("known");
        // They stand still; the runtime may start a helper in between.
        assert!(
            shown <= sum as f64 && shown + 10.0 > sum as f64,
            "{pod}: {shown} created, of {sum}"
        );
        let live = metrics.value("go_goroutines", &labels);
        assert!(live.is_some_and(|live| live < 50.0), "{pod}: {live:?}");
    }

    let text = observer.get("/api/v1/pods");
    let node: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    let containers = node["containers"].as_array().expect("containers");
    let of = |it: &&Value| it["namespace"] == namespace.name && it["pod"] == pod;
    let container = containers.iter().find(of).expect("the container");
    let listed = all(observer, namespace, pod);
    let mains: Vec<_> = listed
        .iter()
        .filter(|it| is_counted(it))
        .map(|it| it["pid"].clone())
        .collect();
    assert_eq!(container["counted"], json!(mains), "{container}");
    assert_eq!(container["processes"], json!(services), "{container}");
}

#[test]
fn probes_are_not_the_service() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let observer = Observer::on(&cluster, NODE);
    let namespace = Namespace::create(&cluster, "probes");
    // A pid namespace of the container's own, of the pod's, of the node's.
    for (pod, field) in [
        ("own", None),
        ("shared", Some("shareProcessNamespace")),
        ("host", Some("hostPID")),
    ] {
        let mut object = probed(pod, fixture(CONTAINER, "idle", GO, "default", &[]));
        if let Some(field) = field {
            object["spec"][field] = json!(true);
        }
        namespace.apply(object);
        hold(&observer, &namespace, pod, 1);
        namespace.kubectl(&["delete", "pod", pod, "--wait=false"]);
    }
}

#[test]
fn what_the_main_process_begets_is_the_service_and_what_is_executed_is_not() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let observer = Observer::on(&cluster, NODE);
    let namespace = Namespace::create(&cluster, "begets");
    // A parent that is a Go program itself, and two children that stay.
    let long = format!("/fixtures/short-{GO}-default");
    let main = fixture(
        CONTAINER,
        "parent",
        GO,
        "default",
        &["2", "2", &long, "40", "1h"],
    );
    namespace.apply(pod("family", Some(NODE), &[main]));
    let labels = [
        ("namespace", namespace.name.as_str()),
        ("pod", "family"),
        ("container", CONTAINER),
    ];
    let service = |process: &Value| process["origin"] == "service";
    wait::until("the whole family", SOON, || {
        let all = all(&observer, &namespace, "family");
        let services = all.iter().filter(|it| service(it)).count();
        (services == 3).then_some(())
    });
    // All that they create at their start is in it.
    let at_rest = || {
        let mut last = None;
        wait::until("a figure at rest", SOON, || {
            let shown = observer.metrics_after(now()).value(CREATED, &labels);
            let rests = std::mem::replace(&mut last, shown) == shown;
            shown.filter(|_| rests)
        })
    };
    let before = at_rest();
    namespace.kubectl(&["exec", "family", "--", &short(), "700", "100ms"]);
    let injected = wait::until("what was executed", SOON, || {
        let all = all(&observer, &namespace, "family");
        all.into_iter().find(|it| it["origin"] == "injected")
    });
    assert_eq!(
        injected["kubernetes"]["uncounted"], "injected",
        "{injected}"
    );
    let after = at_rest();
    assert!(after - before < 20.0, "{before} before, {after} after");
}
