//! The client of Kubernetes' own libraries, which the autoscaler uses too.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use observer_tests::{
    cluster::{
        Adapter, Cluster, NODES, Namespace, burst, turn,
        witness::{address, still},
    },
    paths,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// What the client makes of an answer.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    values: Option<Vec<Item>>,
    #[serde(default)]
    code: u16,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    kind: String,
    api_version: String,
    namespace: String,
    name: String,
    metric: String,
    milli: i64,
    timestamp: i64,
    window_seconds: Option<i64>,
}

/// Asks all questions of one client.
fn ask(cluster: &Cluster, questions: &[Value]) -> Vec<Answer> {
    let mut child = Command::new(paths::fixture("custommetrics", paths::GO, "default"))
        .env(
            "KUBECONFIG",
            cluster.env("KUBECONFIG").expect("a kubeconfig"),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the client");
    let mut pipe = child.stdin.take().expect("its input");
    for one in questions {
        writeln!(pipe, "{one}").expect("to ask");
    }
    drop(pipe);
    let output = child.wait_with_output().expect("its end");
    assert!(output.status.success(), "{}", output.status);
    let text = String::from_utf8(output.stdout).expect("text");
    let answers: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    assert_eq!(answers.len(), questions.len(), "{text}");
    answers
}

#[test]
fn the_autoscalers_own_client_understands_every_answer() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let adapter = Adapter::get(&cluster);
    let namespace = Namespace::create(&cluster, "client");
    for node in NODES {
        let mut pod = still(node, Some(node));
        pod["metadata"]["labels"] = json!({ "app": node });
        namespace.apply(pod);
    }
    for node in NODES {
        burst::ask(&address(&namespace, node), "/leak?n=100");
    }
    let path = format!("namespaces/{}/pods/*/go_gc_cpu_ratio", namespace.name);
    let path = Adapter::path("v1beta2", &path);
    adapter.api.await_get(&path, |list| {
        (list["items"].as_array()?.len() == NODES.len()).then_some(())
    });
    for version in ["", "v1beta1", "v1beta2"] {
        let question = |kind: &str, name: &str, metric: &str| {
            json!({
                "version": version, "namespace": namespace.name, "kind": kind,
                "name": name, "metric": metric,
            })
        };
        values(&cluster, &namespace, &question);
        errors(&cluster, &question);
    }
}

type Question<'a> = dyn Fn(&str, &str, &str) -> Value + 'a;

fn with(mut question: Value, name: &str, value: &str) -> Value {
    question[name] = json!(value);
    question
}

fn values(cluster: &Cluster, namespace: &Namespace, question: &Question<'_>) {
    let goroutines = "go_goroutines";
    let questions = [
        question("Pod", "node-a", goroutines),
        question("Pod", "", goroutines),
        with(
            question("Pod", "", goroutines),
            "selector",
            "app in (node-b)",
        ),
        with(
            question("Pod", "", goroutines),
            "selector",
            "app notin (node-a,node-b)",
        ),
        with(
            question("Pod", "", goroutines),
            "metricSelector",
            "container=witness",
        ),
        question("Pod", "node-a", "go_gc_cpu_ratio"),
        question("Node", "node-a", goroutines),
        with(question("Node", "node-a", goroutines), "namespace", ""),
        with(question("Node", "", goroutines), "namespace", ""),
        with(
            question("Namespace", &namespace.name, goroutines),
            "namespace",
            "",
        ),
    ];
    let asked = observer_tests::cluster::now();
    let answers = ask(cluster, &questions);
    let answered = observer_tests::cluster::now();
    let names: Vec<Vec<&str>> = answers
        .iter()
        .map(|answer| {
            let values = answer
                .values
                .as_ref()
                .unwrap_or_else(|| panic!("{answer:?}"));
            values.iter().map(|value| value.name.as_str()).collect()
        })
        .collect();
    let [a, b] = NODES;
    let expected: [&[&str]; 10] = [
        &[a],
        &[a, b],
        &[b],
        &[],
        &[a, b],
        &[a],
        &[a],
        &[a],
        &[a, b],
        &[&namespace.name],
    ];
    assert_eq!(names, expected);
    let all: Vec<_> = answers
        .iter()
        .flat_map(|one| one.values.iter().flatten())
        .collect();
    for value in &all {
        let (kind, version) = (value.kind.as_str(), value.api_version.as_str());
        assert!(matches!(kind, "Pod" | "Node" | "Namespace"), "{value:?}");
        assert_eq!(version, "v1", "{value:?}");
        assert_eq!(
            value.namespace == namespace.name,
            kind == "Pod",
            "{value:?}"
        );
        // However long the client took, what it was told was as new when it asked.
        let at = value.timestamp as f64;
        assert!(
            at > asked - 5.0 && at < answered + 1.0,
            "{value:?}, asked at {asked}, answered at {answered}"
        );
        let windowed = value.metric == "go_gc_cpu_ratio";
        assert_eq!(value.window_seconds.is_some(), windowed, "{value:?}");
        assert!(windowed || value.milli >= 100_000, "{value:?}");
    }
}

fn errors(cluster: &Cluster, question: &Question<'_>) {
    let questions = [
        question("Pod", "none", "go_goroutines"),
        question("Pod", "node-a", "unknown"),
        question("Node", "none", "go_goroutines"),
        with(question("Job", "none", "go_goroutines"), "group", "batch"),
        with(
            question("Nonsense", "none", "go_goroutines"),
            "group",
            "batch",
        ),
    ];
    for (answer, (code, reason, part)) in ask(cluster, &questions).iter().zip([
        (
            404,
            "NotFound",
            "could not find the metric go_goroutines for pods none",
        ),
        (404, "NotFound", "unknown for pods node-a"),
        (404, "NotFound", "go_goroutines for nodes none"),
        (404, "NotFound", ""),
        (0, "", "no matches for kind"),
    ]) {
        assert_eq!(
            (answer.code, answer.reason.as_str()),
            (code, reason),
            "{answer:?}"
        );
        assert!(answer.message.contains(part), "{answer:?}");
    }
}
