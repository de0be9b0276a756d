//! The Grafana boards, held against what Prometheus knows of the examples: each
//! panel, variable and event as it is imported, with the names of what ran.

use std::{collections::BTreeMap, fs, path::Path};

use observer_tests::{
    cluster::{
        Cluster, NODES, Namespace,
        adapter::deploy,
        burst::{self, NEWEST},
        namespace::{self, pod},
        now,
        prometheus::{Curve, Prometheus, SCRAPED},
        say,
    },
    paths::GO,
    wait,
};
use serde_json::{Value, json};

use super::load::Load;

/// What makes that there is something to see where all is well and nobody asks
/// for anything: a program that allocates below a limit, and one that no probes
/// are put on, since it loads a plugin.
pub(super) struct Stage {
    namespace: Namespace,
    began: f64,
    _load: Load,
}

const LIMITED: &str = "limited";

impl Stage {
    pub(super) fn set(cluster: &Cluster) -> Self {
        let namespace = Namespace::create(cluster, "boards");
        let mut limited = namespace::burst("burst", NEWEST);
        limited["env"] = json!([{ "name": "GOMEMLIMIT", "value": "100MiB" }]);
        namespace.apply(pod(LIMITED, Some(NODES[0]), &[limited]));
        namespace.apply(host_of_a_plugin());
        let ready = namespace.ready(LIMITED);
        let address = ready["status"]["podIP"].as_str().expect("an address");
        burst::started(&namespace, LIMITED, "burst");
        Self {
            _load: Load::on(&[address.to_owned()], "/alloc?mb=40&seconds=5"),
            began: now(),
            namespace,
        }
    }

    /// Until Prometheus knows an example's autoscaler: what is not seen as it was
    /// before is not seen to change.
    pub(super) fn await_scraped(cluster: &Cluster, namespace: &str, replicas: u64) {
        let desired = "kube_horizontalpodautoscaler_status_desired_replicas";
        let query = format!("{desired}{{namespace=\"{namespace}\"}}");
        cluster.prometheus().await_query(&query, |series| {
            let known = |value: f64| (value - replicas as f64).abs() < 0.5;
            series.iter().any(|one| known(one.value))
        });
    }

    /// Fails with every query that told nothing of an example, whose objects
    /// have this name.
    pub(super) fn check(&self, cluster: &Cluster, namespace: &str, name: &str) {
        let prometheus = cluster.prometheus();
        let mut waiting = queries(|board, text| {
            let place = match board {
                "go-observer-pod" => self.namespace.name.as_str(),
                _ => namespace,
            };
            text.replace("$namespace", place)
                .replace("$pod", LIMITED)
                .replace("$workload", name)
                .replace("$node", NODES[0])
        });
        let all = waiting.len();
        let mut last = Vec::new();
        wait::comes_true(2 * SCRAPED, || {
            let times = (self.began, now());
            let lacks = |query: &Query| query.lacks(&prometheus, times);
            last = waiting.iter().filter_map(lacks).collect();
            waiting.retain(|query| {
                last.iter()
                    .any(|text| text.starts_with(&format!("{}:", query.title)))
            });
            last.is_empty()
        });
        assert!(last.is_empty(), "{}", last.join("\n"));
        say(&format!("{all} queries of the boards, each with data"));
        self.rules(&prometheus, namespace, name);
    }

    /// What is joined with the metrics of kube-state-metrics is what the
    /// observer itself knows.
    fn rules(&self, prometheus: &Prometheus, namespace: &str, name: &str) {
        let one = |query: String| -> BTreeMap<u64, f64> {
            let curves = prometheus.range(&query, (self.began, now()));
            assert_eq!(curves.len(), 1, "{query}: {curves:?}");
            let points = curves[0].points.iter();
            points.map(|(at, value)| (*at as u64, *value)).collect()
        };
        let (mut own, mut joined) = (BTreeMap::new(), BTreeMap::new());
        // Pods that came since its last scrape are not kube-state-metrics' yet: where replicas
        // have just changed, as many points may be of those moments as of all others.
        let alike = wait::comes_true(2 * SCRAPED, || {
            own = one(format!(
                "namespace_workload:go_goroutines:sum{{namespace=\"{namespace}\", workload=\"{name}\"}}"
            ));
            joined = one(format!(
                "namespace_deployment:go_goroutines:sum{{namespace=\"{namespace}\", deployment=\"{name}\"}}"
            ));
            let equal = joined.iter().filter(|(at, it)| own.get(at) == Some(it));
            equal.count() * 2 > joined.len()
        });
        assert!(alike, "{own:?} {joined:?}");
        let times = (self.began, now());
        let limit = 256.0 * 1024.0 * 1024.0;
        let limits = prometheus.range(
            &format!(
                "max by (namespace, pod, container) (kube_pod_container_resource_limits{{resource=\"memory\", namespace=\"{namespace}\"}}) \
                 and sum by (namespace, pod, container) (go_memstats_next_gc_bytes)"
            ),
            times,
        );
        let known = limits.iter().flat_map(|curve| &curve.points);
        assert!(known.clone().count() > 0, "no limit of a container");
        let right = |value: f64| (value - limit).abs() < 1.0;
        assert!(known.clone().all(|(_, it)| right(*it)), "{limits:?}");
    }
}

/// Its image has no C library: the node's.
fn host_of_a_plugin() -> Value {
    let plugin = format!("/fixtures/plugin-{GO}-default");
    let host = namespace::fixture("host", "pluginhost", GO, "cgo", &[&plugin]);
    let mut object = pod("host", Some(NODES[0]), &[host]);
    for (name, from, to) in [
        ("lib", "/usr/lib", "/lib"),
        ("lib64", "/usr/lib64", "/lib64"),
    ] {
        let volume = json!({ "name": name, "hostPath": { "path": from } });
        let mount = json!({ "name": name, "mountPath": to, "readOnly": true });
        let spec = &mut object["spec"];
        push(&mut spec["volumes"], volume);
        push(&mut spec["containers"][0]["volumeMounts"], mount);
    }
    object
}

fn push(list: &mut Value, item: Value) {
    list.as_array_mut().expect("a list").push(item);
}

/// A query of a board, which is named in its title.
struct Query {
    title: String,
    text: String,
    legend: String,
}

impl Query {
    /// What is missing, if anything.
    fn lacks(&self, prometheus: &Prometheus, times: (f64, f64)) -> Option<String> {
        let Self {
            title,
            text,
            legend,
        } = self;
        assert!(!text.contains('$'), "{title}: a variable is left in {text}");
        if let Some(inner) = text.strip_prefix("label_values(") {
            let inner = inner.strip_suffix(')').expect("its end");
            let (selector, label) = inner.rsplit_once(", ").expect("a label");
            let values = prometheus.label_values(label, selector, times);
            let there = values.contains(legend);
            return (!there).then(|| format!("{title}: no {legend} in {values:?} of {text}"));
        }
        let curves = prometheus.range(text, times);
        let drawn = |curve: &&Curve| curve.points.iter().any(|(_, value)| value.is_finite());
        let drawn: Vec<_> = curves.iter().filter(drawn).collect();
        if drawn.is_empty() {
            return Some(format!("{title}: no data of {text}"));
        }
        let named = |label: &&str| drawn.iter().any(|one| one.labels.contains_key(*label));
        let unnamed = labels(legend).into_iter().find(|label| !named(label));
        unnamed.map(|label| format!("{title}: no label {label} for its legend in {drawn:?}"))
    }
}

/// Labels in a legend.
fn labels(legend: &str) -> Vec<&str> {
    let parts = legend.split("{{").skip(1);
    parts
        .filter_map(|part| part.split_once("}}"))
        .map(|(label, _)| label)
        .collect()
}

/// Every query of every board; what is awaited of a variable is its value.
fn queries(fill: impl Fn(&str, &str) -> String) -> Vec<Query> {
    let mut all = Vec::new();
    let mut files: Vec<_> = fs::read_dir(deploy("dashboards"))
        .expect("the boards")
        .map(|file| file.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    files.sort();
    assert_eq!(files.len(), 5, "{files:?}");
    for file in &files {
        let board = read(file);
        let uid = board["uid"].as_str().expect("a uid");
        let mut add = |what: &str, number: usize, text: &Value, legend: &str| {
            let text = text
                .as_str()
                .unwrap_or_else(|| panic!("{uid}: {what} asks nothing"));
            all.push(Query {
                title: format!("{uid}: {what}, {number}"),
                text: fill(uid, text),
                legend: fill(uid, legend),
            });
        };
        for panel in list(&board["panels"]) {
            for (number, target) in list(&panel["targets"]).iter().enumerate() {
                let legend = target["legendFormat"].as_str().expect("a legend");
                let title = panel["title"].as_str().expect("a title");
                add(title, number, &target["expr"], legend);
            }
        }
        for event in list(&board["annotations"]["list"]) {
            let text = event["textFormat"].as_str().expect("a text");
            let name = event["name"].as_str().expect("a name");
            add(name, 0, &event["expr"], text);
        }
        for variable in list(&board["templating"]["list"]) {
            let name = variable["name"].as_str().expect("a name");
            if variable["type"] == "query" {
                let query = &variable["query"]["query"];
                add(&format!("variable {name}"), 0, query, &format!("${name}"));
            }
        }
    }
    all
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn read(file: &Path) -> Value {
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}
