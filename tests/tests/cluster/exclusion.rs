//! Pods and namespaces that do not want to be observed.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, Instant},
};

use observer_tests::{
    cluster::{
        Cluster, NODES, Namespace, Observer, SOON,
        namespace::{fixture, pod},
        turn,
        variant::Variant,
    },
    paths::{self, GO},
    text, wait,
};
use serde_json::{Value, json};
use tempfile::TempDir;

const NODE: &str = NODES[0];
const WISH: &str = "go-observer.dev/observe";
const CONTAINER: &str = "main";

/// A program that no other test runs: probes stand on files, and one excluded
/// process takes them from all.
struct Own(TempDir);

impl Own {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let program = paths::fixture("idle", GO, "default");
        fs::copy(program, directory.path().join("own")).expect("a copy");
        // Whatever user the image has.
        let everybodys = fs::Permissions::from_mode(0o755);
        fs::set_permissions(directory.path(), everybodys).expect("its rights");
        Self(directory)
    }

    /// A pod that runs it.
    fn pod(&self, name: &str) -> Value {
        let mut container = fixture(CONTAINER, "idle", GO, "default", &[]);
        container["command"] = json!(["/own/own"]);
        container["volumeMounts"] =
            json!([{ "name": "own", "mountPath": "/own", "readOnly": true }]);
        let mut pod = pod(name, Some(NODE), &[container]);
        let path: &Path = self.0.path();
        pod["spec"]["volumes"] = json!([{
            "name": "own",
            "hostPath": { "path": path, "type": "Directory" },
        }]);
        pod
    }
}

/// The one process of a pod, as the observer lists it.
fn listed(observer: &Observer, namespace: &Namespace, pod: &str) -> Value {
    wait::until(&format!("{pod} listed"), SOON, || {
        match &observer.processes(&namespace.name, pod, CONTAINER)[..] {
            [one] => Some(one.clone()),
            _ => None,
        }
    })
}

fn id(process: &Value) -> u32 {
    u32::try_from(process["pid"].as_u64().expect("a pid")).expect("a pid")
}

fn reason<'a>(process: &'a Value, figure: &str) -> Option<&'a str> {
    process["coverage"][figure]["reason"].as_str()
}

/// Waits until it is left alone for this reason, and holds it against that for
/// a while.
fn is_left_alone(observer: &Observer, namespace: &Namespace, pod: &str, why: &str) {
    let process = wait::until(&format!("{pod} to be left alone"), SOON, || {
        let process = listed(observer, namespace, pod);
        (reason(&process, "state") == Some("excluded")).then_some(process)
    });
    let detail = process["coverage"]["state"]["detail"].as_str();
    assert!(detail.is_some_and(|it| it.contains(why)), "{process}");
    assert_eq!(process["figures"]["goroutines"]["live"], Value::Null);
    wait::until(&format!("no breakpoint in {pod}"), SOON, || {
        (text::changed(id(&process)) == Some(0)).then_some(())
    });
    let labels = [
        ("namespace", namespace.name.as_str()),
        ("pod", pod),
        ("container", CONTAINER),
    ];
    wait::until(&format!("{pod} without figures"), SOON, || {
        let metrics = observer.metrics();
        let mut coverage = metrics.select("observer_process_coverage", &labels);
        let told = coverage.any(|it| it.labels.get("reason").is_some_and(|it| it == "excluded"));
        (told && metrics.value("go_goroutines", &labels).is_none()).then_some(())
    });
}

fn is_observed(observer: &Observer, namespace: &Namespace, pod: &str) -> u32 {
    let labels = [
        ("namespace", namespace.name.as_str()),
        ("pod", pod),
        ("container", CONTAINER),
    ];
    let process = wait::until(&format!("{pod} observed"), SOON, || {
        observer.metrics().value("go_goroutines", &labels)?;
        let process = listed(observer, namespace, pod);
        process["coverage"]["gc_pauses"]["covered"]
            .as_bool()
            .filter(|covered| *covered)?;
        Some(process)
    });
    assert_ne!(text::changed(id(&process)), Some(0), "it carries probes");
    id(&process)
}

#[test]
fn who_does_not_want_it_is_not_observed_from_the_first_moment_on() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let observer = Observer::on(&cluster, NODE);
    let namespace = Namespace::create(&cluster, "excluded");
    let quiet = Namespace::create(&cluster, "quiet");
    quiet.cluster.kubectl(&[
        "annotate",
        "namespace",
        &quiet.name,
        &format!("{WISH}=false"),
    ]);
    let files = [Own::new(), Own::new(), Own::new(), Own::new()];
    let mut by_label = files[0].pod("by-label");
    by_label["metadata"]["labels"] = json!({ WISH: "false" });
    namespace.apply(by_label);
    let mut by_annotation = files[1].pod("by-annotation");
    by_annotation["metadata"]["annotations"] = json!({ WISH: "false" });
    namespace.apply(by_annotation);
    quiet.apply(files[2].pod("by-namespace"));
    let mut other = files[3].pod("other");
    other["metadata"]["annotations"] = json!({ WISH: "true" });
    namespace.apply(other);

    for (namespace, pod, why) in [
        (&namespace, "by-label", "the pod's label"),
        (&namespace, "by-annotation", "the pod's annotation"),
        (&quiet, "by-namespace", "the namespace's annotation"),
    ] {
        let process = listed(&observer, namespace, pod);
        let until = Instant::now() + Duration::from_secs(1);
        while Instant::now() < until {
            assert_eq!(text::changed(id(&process)), Some(0), "{pod}");
        }
        is_left_alone(&observer, namespace, pod, why);
    }
    // What the others do not have can be had.
    is_observed(&observer, &namespace, "other");
}

#[test]
fn a_wish_may_change_while_a_pod_runs() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let observer = Observer::on(&cluster, NODE);
    let namespace = Namespace::create(&cluster, "changes");
    let own = Own::new();
    namespace.apply(own.pod("one"));
    namespace.apply(own.pod("two"));
    let pid = is_observed(&observer, &namespace, "one");
    is_observed(&observer, &namespace, "two");

    let one = |value: &str| {
        let annotation = format!("{WISH}{value}");
        namespace.kubectl(&["annotate", "--overwrite", "pod", "one", &annotation]);
    };
    one("=false");
    is_left_alone(&observer, &namespace, "one", "the pod's annotation");
    // The other runs the same file: it has no probes either, and its figures
    // from memory.
    let two = wait::until("two without probes", SOON, || {
        let process = listed(&observer, &namespace, "two");
        (reason(&process, "gc_pauses") == Some("excluded")).then_some(process)
    });
    wait::until("no breakpoint in two", SOON, || {
        (text::changed(id(&two)) == Some(0)).then_some(())
    });
    assert_eq!(two["coverage"]["goroutines"]["covered"], true, "{two}");

    one("-");
    assert_eq!(is_observed(&observer, &namespace, "one"), pid);
    is_observed(&observer, &namespace, "two");

    let annotation = format!("{WISH}=false");
    cluster.kubectl(&["annotate", "namespace", &namespace.name, &annotation]);
    for pod in ["one", "two"] {
        is_left_alone(&observer, &namespace, pod, "the namespace's annotation");
    }
}

#[test]
fn the_observers_own_rules_are_about_pods_too() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    let namespace = Namespace::create(&cluster, "rules");
    let files = [Own::new(), Own::new()];
    let mut labelled = files[0].pod("labelled");
    labelled["metadata"]["labels"] = json!({ "team": "payments" });
    namespace.apply(labelled);
    namespace.apply(files[1].pod("other"));
    for pod in ["labelled", "other"] {
        namespace.ready(pod);
    }
    let start = |name: &str, rule: &str| {
        let rule = json!(format!("--exclude={rule}"));
        let add = |spec: &mut Value| {
            let args = spec["containers"][0]["args"].as_array_mut();
            args.expect("arguments").push(rule);
        };
        Variant::start(&cluster, "observer", name, NODE, add)
    };
    let reasons = |observer: &Observer| {
        ["labelled", "other"].map(|pod| {
            let process = listed(observer, &namespace, pod);
            reason(&process, "state").map(str::to_owned)
        })
    };
    let excluded = || Some("excluded".to_owned());
    for (name, rule, expected) in [
        (
            "excluding-label",
            "label=team=payments".to_owned(),
            [excluded(), None],
        ),
        (
            "excluding-namespace",
            format!("namespace={}?*", &namespace.name[..6]),
            [excluded(), excluded()],
        ),
    ] {
        let variant = start(name, &rule);
        let observer = variant.ready();
        wait::until(&rule, SOON, || {
            (reasons(&observer) == expected).then_some(())
        });
        assert_eq!(variant.restarts(), 0, "{name}");
    }
}
