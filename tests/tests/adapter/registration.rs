//! Install, switch, upgrade and uninstall in whatever order: the cluster is well
//! afterwards, and a group of another server is never taken.

use std::time::Instant;

use observer_tests::{
    cluster::{Adapter, Cluster, NAMESPACE, Namespace, SOON, adapter::deploy, say, turn},
    wait,
};
use serde_json::{Value, json};

use crate::{
    load,
    overlays::{Back, CUSTOM, EXTERNAL, await_gone, rolled_out},
};

/// Where deletions are waited for longer than any takes that goes well.
const TIMEOUT: &str = "--timeout=90s";
const OBSERVERS: &str = "daemonset/observer";
const SECRET: [&str; 4] = ["secret", "go-observer-node-tls", "--namespace", NAMESPACE];

/// One that leads to this Service, as other servers' manifests have it.
fn api_service(name: &str, service: &Value) -> Value {
    let (version, group) = name.split_once('.').expect("a version and a group");
    json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": { "name": name },
        "spec": {
            "group": group, "version": version,
            "groupPriorityMinimum": 100, "versionPriority": 100,
            "service": service,
        },
    })
}

/// Another server's, of which nothing runs any more.
fn left_behind(name: &str) -> Value {
    let mut it = api_service(name, &json!({ "namespace": "monitoring", "name": "left" }));
    it["spec"]["insecureSkipTLSVerify"] = json!(true);
    it
}

/// Lets another server have one that is there.
fn take_over(cluster: &Cluster, name: &str) {
    let mut patch = json!({ "spec": left_behind(name)["spec"] });
    patch["spec"]["caBundle"] = Value::Null;
    let patch = patch.to_string();
    cluster.kubectl(&[
        "patch",
        "apiservice",
        name,
        "--type=merge",
        "--patch",
        &patch,
    ]);
}

fn leads_to(cluster: &Cluster, name: &str) -> Option<String> {
    let service = cluster.find(&["apiservice", name])?;
    let service = &service["spec"]["service"];
    let part = |part: &str| service[part].as_str().unwrap_or_default().to_owned();
    Some(format!("{}/{}", part("namespace"), part("name")))
}

fn delete(cluster: &Cluster, args: &[&str]) {
    let begin = Instant::now();
    let fixed = ["delete", "--ignore-not-found", TIMEOUT];
    cluster.kubectl(&[fixed.as_slice(), args].concat());
    let took = begin.elapsed().as_secs_f64();
    say(&format!("kubectl delete {}: {took:.1} s", args.join(" ")));
}

/// Whether namespaces come and go, which takes that all groups can be discovered.
fn assert_well(cluster: &Cluster) {
    await_gone(cluster, &[CUSTOM[0], CUSTOM[1], EXTERNAL]);
    let namespace = Namespace::create(cluster, "comes-and-goes");
    let name = namespace.name.clone();
    drop(namespace);
    wait::until("the namespace to be gone", SOON, || {
        cluster.find(&["namespace", &name]).is_none().then_some(())
    });
}

fn install(adapter: &Adapter) {
    let cluster = &adapter.cluster;
    cluster.kubectl(&["apply", "-k", &deploy("adapter")]);
    rolled_out(adapter);
    let place = ["--namespace", NAMESPACE, "--timeout=120s"];
    cluster.kubectl(&[["rollout", "status", OBSERVERS].as_slice(), &place].concat());
}

/// As deploy/adapter leaves it, whatever came before.
fn assert_served(adapter: &Adapter) {
    adapter.await_available();
    adapter.replicas();
    load::await_each_node(adapter);
    await_gone(&adapter.cluster, &[EXTERNAL]);
}

#[test]
fn a_group_that_another_takes_is_left_to_it_and_taken_up_again_after() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    let adapter = Adapter::get(&cluster);
    let _programs = load::on_each_node(&adapter);
    let back = Back(&adapter);
    take_over(&cluster, CUSTOM[0]);
    await_gone(&cluster, &CUSTOM[1..]);
    // Neither a new replica nor another kubectl apply takes it, and the observers
    // have their certificate all the same.
    cluster.kubectl(&[&["delete"], SECRET.as_slice()].concat());
    let place = ["--namespace", NAMESPACE];
    let restart = ["rollout", "restart", "deployment/observer-adapter"];
    cluster.kubectl(&[restart.as_slice(), &place].concat());
    install(&adapter);
    wait::until("the observers' Secret", SOON, || cluster.find(&SECRET));
    assert_eq!(
        leads_to(&cluster, CUSTOM[0]).as_deref(),
        Some("monitoring/left")
    );
    assert_eq!(leads_to(&cluster, CUSTOM[1]), None);
    let said = format!("APIService {} leads to Service monitoring/left", CUSTOM[0]);
    let told = wait::comes_true(SOON, || adapter.log().contains(&said));
    assert!(told, "{}", adapter.log());

    delete(&cluster, &["apiservice", CUSTOM[0]]);
    drop(back);
    // They have another certificate, which kubelets would bring them in a minute.
    cluster.kubectl(&[["rollout", "restart", OBSERVERS].as_slice(), &place].concat());
    install(&adapter);
    assert_served(&adapter);
}

#[test]
fn whatever_is_deleted_first_nothing_stays_that_blocks_the_cluster() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    let adapter = Adapter::get(&cluster);
    // Only the adapter: what it leads to would be missed by everybody.
    delete(
        &cluster,
        &["deployment", "observer-adapter", "--namespace", NAMESPACE],
    );
    assert_well(&cluster);
    install(&adapter);
    adapter.await_available();
    // The observers first, and no adapter runs that could tidy up.
    let scale = ["scale", "deployment/observer-adapter", "--replicas=0"];
    cluster.kubectl(&[scale.as_slice(), &["--namespace", NAMESPACE]].concat());
    wait::until("the aggregator to miss it", SOON, || {
        adapter.availability("v1beta2").err()
    });
    delete(&cluster, &["-k", &deploy("observer")]);
    assert_well(&cluster);
    delete(&cluster, &["-k", &deploy("adapter")]);

    // Where another has left one of its own, that is left alone.
    cluster.apply(&left_behind(CUSTOM[1]));
    install(&adapter);
    assert_eq!(
        leads_to(&cluster, CUSTOM[1]).as_deref(),
        Some("monitoring/left")
    );
    delete(&cluster, &["apiservice", CUSTOM[1]]);
    adapter.await_available();
    // Only the namespace.
    delete(&cluster, &["namespace", NAMESPACE]);
    assert_well(&cluster);

    // Those of an earlier version, which were manifests, are taken over.
    for name in CUSTOM {
        let ours = json!({ "namespace": NAMESPACE, "name": "observer-adapter", "port": 443 });
        cluster.apply(&api_service(name, &ours));
    }
    install(&adapter);
    adapter.await_available();
    delete(&cluster, &["-k", &deploy("adapter")]);
    assert_well(&cluster);
    install(&adapter);
    let _programs = load::on_each_node(&adapter);
    assert_served(&adapter);
}
