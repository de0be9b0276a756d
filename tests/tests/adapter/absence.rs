//! What lacks while the adapter, or what it keeps in the cluster, is away.

use std::time::Instant;

use observer_tests::{
    cluster::{
        Adapter, Cluster, NAMESPACE, Namespace, SOON, adapter::deploy, autoscaler::condition, say,
        turn,
    },
    wait,
};
use serde_json::{Value, json};

const GROUP: &str = "custom.metrics.k8s.io";

#[test]
fn the_certificate_is_its_own_and_comes_back() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    let adapter = Adapter::get(&cluster);
    let path = format!("/apis/apiregistration.k8s.io/v1/apiservices/v1beta2.{GROUP}");
    let bundle = |service: &Value| service["spec"]["caBundle"].as_str().map(str::to_owned);
    let before = bundle(&adapter.api.get(&path)).expect("a caBundle");
    // As it is left when applied over another server's.
    let broken = json!({ "spec": { "caBundle": null, "insecureSkipTLSVerify": true } });
    let args = [
        "patch",
        "apiservice",
        &format!("v1beta2.{GROUP}"),
        "--type=merge",
        "--patch",
    ];
    let broken = broken.to_string();
    let args: Vec<_> = args.into_iter().chain([broken.as_str()]).collect();
    cluster.kubectl(&args);
    let begin = Instant::now();
    adapter.api.await_get(&path, |service| {
        (bundle(service).as_deref() == Some(&before)).then_some(())
    });
    say(&format!(
        "a lost caBundle is back after {:.1} s",
        begin.elapsed().as_secs_f64()
    ));
    // Applied again, it stays.
    cluster.kubectl(&["apply", "-k", &deploy("adapter")]);
    assert_eq!(
        bundle(&adapter.api.get(&path)).as_deref(),
        Some(before.as_str())
    );
    adapter.await_available();
}

#[test]
fn the_cluster_is_well_without_it() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    let adapter = Adapter::get(&cluster);
    scale(&cluster, 1);
    let took = delete_namespace(&cluster, "one-away");
    say(&format!(
        "namespace gone with one replica away: {took:.1} s"
    ));
    scale(&cluster, 0);
    wait::until("the aggregator to miss it", SOON, || {
        adapter.availability("v1beta2").err()
    });
    let answer = adapter.ask("v1beta2", "nodes/*/go_goroutines");
    assert_eq!(answer.code, 503, "{}", answer.body);
    // What has nothing to do with it goes on.
    cluster.kubectl(&["get", "--raw", "/openapi/v3"]);
    cluster.kubectl(&["get", "deployments", "--all-namespaces"]);
    let namespace = Namespace::create(&cluster, "all-away");
    let name = namespace.name.clone();
    drop(namespace);
    // Kubernetes finishes no namespace while a group of the cluster cannot be
    // discovered, whosever it is. It must go by itself afterwards.
    wait::until("a word of the deletion", SOON, || {
        let gone = cluster.find(&["namespace", &name]).is_none();
        (gone || deletion_waits(&cluster, &name)).then_some(())
    });
    scale(&cluster, 2);
    let begin = Instant::now();
    wait::until("the namespace to be gone", SOON, || {
        cluster.find(&["namespace", &name]).is_none().then_some(())
    });
    say(&format!(
        "namespace gone {:.1} s after it came back",
        begin.elapsed().as_secs_f64()
    ));
    adapter.replicas();
    adapter.await_available();
}

/// Whether the namespace's status says that discovery fails.
fn deletion_waits(cluster: &Cluster, name: &str) -> bool {
    let namespace = cluster.find(&["namespace", name]).unwrap_or_default();
    condition(&namespace, "NamespaceDeletionDiscoveryFailure") == "True"
}

fn scale(cluster: &Cluster, replicas: u32) {
    let args = [
        "scale",
        "deployment/observer-adapter",
        "--namespace",
        NAMESPACE,
    ];
    let replicas = format!("--replicas={replicas}");
    let args: Vec<_> = args.into_iter().chain([replicas.as_str()]).collect();
    cluster.kubectl(&args);
}

/// Seconds that it takes.
fn delete_namespace(cluster: &Cluster, prefix: &str) -> f64 {
    let namespace = Namespace::create(cluster, prefix);
    let name = namespace.name.clone();
    let begin = Instant::now();
    drop(namespace);
    wait::until("the namespace to be gone", SOON, || {
        cluster.find(&["namespace", &name]).is_none().then_some(())
    });
    begin.elapsed().as_secs_f64()
}
