//! What the API server and its clients get of the adapter.

use std::{collections::BTreeMap, process::Command};

use observer_tests::{
    cluster::{
        Adapter, Cluster, NODES, Namespace, SOON, adapter::VERSIONS, burst, namespace::pod_spec,
        now, turn, witness::still,
    },
    wait,
};
use serde_json::{Value, json};

const GROUP: &str = "custom.metrics.k8s.io";
/// Kinds of objects and metrics that discovery tells of.
const KINDS: [&str; 7] = [
    "pods",
    "deployments.apps",
    "statefulsets.apps",
    "replicasets.apps",
    "daemonsets.apps",
    "namespaces",
    "nodes",
];
const METRICS: usize = 12;

/// Workloads of all kinds, whose pods stand still with a known number of
/// goroutines each.
struct Shop {
    namespace: Namespace,
    /// Goroutines of each pod as the adapter has them.
    pods: BTreeMap<String, f64>,
}

impl Shop {
    fn open(adapter: &Adapter) -> Self {
        let namespace = Namespace::create(&adapter.cluster, "shop");
        for (kind, name) in [
            ("Deployment", "web"),
            ("StatefulSet", "store"),
            ("DaemonSet", "agent"),
        ] {
            namespace.apply(workload(kind, name));
        }
        let addresses = wait::until("all pods of the shop", SOON, || {
            let pods = namespace.list("pods");
            let ready: BTreeMap<_, _> = pods.iter().filter_map(ready).collect();
            (ready.len() == 5).then_some(ready)
        });
        let said: BTreeMap<_, _> = addresses
            .iter()
            .enumerate()
            .map(|(n, (pod, address))| {
                let path = format!("/leak?n={}", 100 * (n + 1));
                let said = wait::until("an answer", SOON, || burst::try_ask(address, &path).ok());
                (pod.clone(), said.num_goroutine as f64)
            })
            .collect();
        let began = now();
        let shop = Self {
            pods: BTreeMap::new(),
            namespace,
        };
        let path = shop.path("pods/*/go_goroutines");
        let mut known: Option<(f64, BTreeMap<String, f64>)> = None;
        let pods = adapter
            .api
            .await_get(&Adapter::path("v1beta2", &path), |list| {
                let items = list["items"].as_array()?;
                let fresh = items.iter().all(|item| stamp(item) > began);
                let all: BTreeMap<_, _> =
                    items.iter().map(|one| (name(one), number(one))).collect();
                // Which goroutine answered a request has ended a moment after.
                let settled = said.iter().all(|(pod, said)| {
                    all.get(pod)
                        .is_some_and(|value| *value < *said && *value >= *said - 3.0)
                });
                if !(fresh && settled && all.len() == said.len()) {
                    return None;
                }
                // At two times it is as much.
                let at = items.iter().map(stamp).fold(f64::INFINITY, f64::min);
                match &known {
                    Some((then, before)) if *before == all => (at > *then).then_some(all),
                    _ => {
                        known = Some((at, all));
                        None
                    }
                }
            });
        Self { pods, ..shop }
    }

    fn path(&self, rest: &str) -> String {
        format!("namespaces/{}/{rest}", self.namespace.name)
    }

    fn sum(&self, prefix: &str) -> f64 {
        let own = self.pods.iter().filter(|(pod, _)| pod.starts_with(prefix));
        own.map(|(_, value)| value).sum()
    }
}

fn workload(kind: &str, name: &str) -> Value {
    let labels = json!({ "app": name });
    let mut container = still(name, None)["spec"]["containers"][0].take();
    // Other tests' pods stand still on the nodes meanwhile.
    container["name"] = json!("shop");
    let mut spec = json!({
        "selector": { "matchLabels": labels },
        "template": { "metadata": { "labels": labels }, "spec": pod_spec(None, &[container]) },
    });
    match kind {
        "Deployment" => spec["replicas"] = json!(2),
        "StatefulSet" => spec["serviceName"] = json!(name),
        _ => {}
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": { "name": name, "labels": { "tier": name } },
        "spec": spec,
    })
}

fn ready(pod: &Value) -> Option<(String, String)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let running = pod["status"]["phase"] == "Running";
    let both = (
        text(&pod["metadata"]["name"])?,
        text(&pod["status"]["podIP"])?,
    );
    running.then_some(both)
}

fn name(item: &Value) -> String {
    let name = item["describedObject"]["name"].as_str();
    name.unwrap_or_else(|| panic!("no name: {item}")).to_owned()
}

fn number(item: &Value) -> f64 {
    let text = item["value"].as_str().unwrap_or_default();
    let number = match text.strip_suffix('m') {
        Some(milli) => milli.parse::<f64>().map(|milli| milli / 1000.0),
        None => text.parse(),
    };
    number.unwrap_or_else(|e| panic!("{e}: {item}"))
}

fn stamp(item: &Value) -> f64 {
    let text = item["timestamp"].as_str().unwrap_or_default();
    let time: k8s_openapi::jiff::Timestamp = text.parse().unwrap_or_else(|e| panic!("{e}: {item}"));
    // In whole seconds, cut off.
    time.as_second() as f64 + 1.0
}

#[test]
fn discovery_is_whole_and_kubectl_is_content() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let adapter = Adapter::get(&cluster);
    for version in VERSIONS {
        let list = adapter.ask(version, "").body;
        let resources = list["resources"].as_array().expect("resources");
        assert_eq!(resources.len(), KINDS.len() * METRICS, "{version}");
        for kind in KINDS {
            let name = format!("{kind}/go_goroutines");
            let one = resources.iter().find(|one| one["name"] == name.as_str());
            let one = one.unwrap_or_else(|| panic!("{version} has no {name}"));
            let namespaced = !matches!(kind, "namespaces" | "nodes");
            assert_eq!(one["namespaced"], namespaced, "{one}");
        }
    }
    let group = adapter.api.get(&format!("/apis/{GROUP}"));
    assert_eq!(group["preferredVersion"]["version"], "v1beta2", "{group}");
    for args in [
        &["api-resources", "--cached=false"][..],
        &["api-versions"],
        &["get", "apiservices"],
        &["get", "--raw", "/openapi/v3"],
        &["get", "--raw", "/openapi/v2"],
        &["explain", "deployments"],
    ] {
        let mut command: Command = cluster.kubectl_command();
        let output = command.args(args).output().expect("kubectl");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {complaint}");
        assert_eq!(complaint, "", "{args:?}");
    }
}

#[test]
fn every_route_tells_what_the_programs_say_of_themselves() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let adapter = Adapter::get(&cluster);
    let shop = Shop::open(&adapter);
    let ask = |version: &str, path: &str| -> Vec<(String, f64)> {
        let answer = adapter.ask(version, path);
        let items = answer.items().iter();
        items.map(|item| (name(item), number(item))).collect()
    };
    let replica_set = shop.namespace.list("replicasets")[0]["metadata"]["name"].clone();
    let replica_set = replica_set.as_str().expect("a name").to_owned();
    let everything = shop.sum("");
    for version in VERSIONS {
        for (pod, goroutines) in &shop.pods {
            let path = shop.path(&format!("pods/{pod}/go_goroutines"));
            assert_eq!(ask(version, &path), [(pod.clone(), *goroutines)]);
        }
        for (rest, name, prefix) in [
            ("deployments.apps/web", "web", "web-"),
            ("deployments/web", "web", "web-"),
            ("statefulsets.apps/store", "store", "store-"),
            ("daemonsets.apps/agent", "agent", "agent-"),
            ("deployments.apps/*", "web", "web-"),
        ] {
            let path = shop.path(&format!("{rest}/go_goroutines"));
            assert_eq!(
                ask(version, &path),
                [(name.to_owned(), shop.sum(prefix))],
                "{path}"
            );
        }
        let path = shop.path(&format!("replicasets.apps/{replica_set}/go_goroutines"));
        assert_eq!(
            ask(version, &path),
            [(replica_set.clone(), shop.sum("web-"))]
        );
        let path = shop.path("metrics/go_goroutines");
        let own = shop.namespace.name.clone();
        assert_eq!(ask(version, &path), [(own, everything)], "{path}");
        selected(&shop, &ask, version);
        nodes(&adapter, &shop, &ask, version);
    }
}

type Ask<'a> = dyn Fn(&str, &str) -> Vec<(String, f64)> + 'a;

fn selected(shop: &Shop, ask: &Ask<'_>, version: &str) {
    for (selector, prefixes) in [
        ("labelSelector=app%3Dweb", &["web-"][..]),
        ("labelSelector=app+in+(web,store)", &["web-", "store-"]),
        ("labelSelector=app!=web,app", &["store-", "agent-"]),
        ("labelSelector=!app", &[]),
        (
            "metricLabelSelector=container%3Dshop",
            &["web-", "store-", "agent-"],
        ),
        ("metricLabelSelector=container%3Dother", &[]),
    ] {
        let path = shop.path(&format!("pods/%2A/go_goroutines?{selector}"));
        let mut found = ask(version, &path);
        found.sort_by(|left, right| left.0.cmp(&right.0));
        let belongs = |pod: &str| prefixes.iter().any(|prefix| pod.starts_with(prefix));
        let pods = shop.pods.iter().filter(|(pod, _)| belongs(pod));
        let expected: Vec<_> = pods.map(|(pod, value)| (pod.clone(), *value)).collect();
        assert_eq!(found, expected, "{path}");
    }
}

/// Of nodes both spellings; others' pods are on them too, so that it is held
/// against what the pods of all namespaces have at the same time.
fn nodes(adapter: &Adapter, shop: &Shop, ask: &Ask<'_>, version: &str) {
    let selector = "?metricLabelSelector=container%3Dshop";
    let on: BTreeMap<String, String> = shop
        .namespace
        .list("pods")
        .iter()
        .map(|pod| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (
                text(&pod["metadata"]["name"]),
                text(&pod["spec"]["nodeName"]),
            )
        })
        .collect();
    for node in NODES {
        let own = shop.pods.iter().filter(|(pod, _)| on[*pod] == node);
        let expected: f64 = own.map(|(_, value)| value).sum();
        for path in [
            format!("nodes/{node}/go_goroutines{selector}"),
            shop.path(&format!("nodes/{node}/go_goroutines{selector}")),
        ] {
            assert_eq!(ask(version, &path), [(node.to_owned(), expected)], "{path}");
        }
    }
    let all = adapter.ask(version, "nodes/*/go_goroutines");
    let names: Vec<_> = all.items().iter().map(name).collect();
    assert_eq!(names, NODES, "{all:?}");
}

#[test]
fn errors_are_those_of_kubernetes() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let adapter = Adapter::get(&cluster);
    for version in VERSIONS {
        for (path, code, reason, part) in [
            (
                "namespaces/default/pods/none/go_goroutines",
                404,
                "NotFound",
                "the server could not find the metric go_goroutines for pods none",
            ),
            (
                "namespaces/default/pods/none/unknown",
                404,
                "NotFound",
                "unknown",
            ),
            (
                "namespaces/default/jobs.batch/none/go_goroutines",
                404,
                "NotFound",
                "resource",
            ),
            ("namespaces/default/pods", 404, "NotFound", "resource"),
            (
                "namespaces/default/pods/*/go_goroutines?labelSelector=a+in+b",
                400,
                "BadRequest",
                "expected '(' after in",
            ),
        ] {
            let answer = adapter.ask(version, path);
            assert_eq!(answer.code, code, "{path}: {}", answer.body);
            assert_eq!(answer.body["kind"], "Status", "{path}");
            assert_eq!(answer.body["reason"], reason, "{path}");
            let message = answer.body["message"].as_str().unwrap_or_default();
            assert!(message.contains(part), "{path}: {message}");
        }
        let path = Adapter::path(version, "namespaces/default/pods/none/go_goroutines");
        let said = cluster.try_kubectl(&["get", "--raw", &path]).unwrap_err();
        assert!(said.contains("could not find the metric"), "{said}");
    }
}
