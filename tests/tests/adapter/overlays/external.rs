//! deploy/adapter-overlays/external-metrics.

use observer_tests::{
    cluster::{
        Adapter, Cluster, SOON,
        adapter::deploy,
        autoscaler::{SYNC, Scaled, ask_all},
        say, turn,
    },
    wait,
};
use serde_json::{Value, json};

use super::{Back, CUSTOM, EXTERNAL, await_gone, rolled_out};

/// Of two pods each, so that they ask for five.
const LEAK: &str = "/leak?n=235";

#[test]
fn where_the_group_is_taken_autoscalers_scale_on_the_other() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    let adapter = Adapter::get(&cluster);
    let _back = Back(&adapter);
    cluster.kubectl(&["apply", "-k", &deploy("adapter-overlays/external-metrics")]);
    rolled_out(&adapter);
    await_gone(&cluster, &CUSTOM);
    wait::until("the other group available", SOON, || {
        adapter.availability_of(EXTERNAL).is_ok().then_some(())
    });
    // The API server asks a group that is available for what it has only then.
    wait::until("the resources of the other group alone", SOON, || {
        let known = ["api-resources", "--cached=false", "--output=name"];
        let known = cluster.try_kubectl(&known).ok()?;
        let right = known.contains("go_goroutines.external.metrics.k8s.io")
            && !known.contains("custom.metrics.k8s.io");
        right.then_some(())
    });

    let scaled = Scaled::example(&adapter, "hpa-pods", by_labels);
    scaled.await_active();
    let pods = scaled.await_ready(2);
    let replicas = scaled.watch();
    let said = ask_all(&pods, LEAK);
    let begin = std::time::Instant::now();
    let path = format!(
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/{}/go_goroutines?labelSelector={}",
        scaled.namespace.name, "go-observer%2Fdeployment%3Dburst"
    );
    let all: u64 = said.iter().map(|line| line.num_goroutine).sum();
    wait::until("the value of both pods", SOON, || {
        let text = cluster.try_kubectl(&["get", "--raw", &path]).ok()?;
        let list: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(list["kind"], "ExternalMetricValueList", "{list}");
        assert!(list["items"].as_array()?.len() <= 1, "{list}");
        let value: u64 = list["items"][0]["value"].as_str()?.parse().ok()?;
        // What answers requests comes and goes; more pods may have come.
        (value + 10 >= all).then_some(())
    });
    let more = replicas.await_at_least(3, SYNC * 8);
    replicas.await_at_least(5, SYNC * 16);
    say(&format!(
        "by external.metrics.k8s.io: first replica {:.1} s after the burst; replicas {:?}",
        more.duration_since(begin).as_secs_f64(),
        replicas.numbers()
    ));
}

/// As deploy/adapter/METRICS.md tells of it, and on nothing else.
fn by_labels(object: &mut Value) {
    if object["kind"] == "HorizontalPodAutoscaler" {
        object["spec"]["metrics"] = json!([{
            "type": "External",
            "external": {
                "metric": {
                    "name": "go_goroutines",
                    "selector": { "matchLabels": { "go-observer/deployment": "burst" } },
                },
                "target": { "type": "AverageValue", "averageValue": "100" },
            },
        }]);
    }
}
