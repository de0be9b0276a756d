//! How the API server itself takes what the adapter serves: by both versions
//! of HTTP, in both forms of discovery, and with its description.

use std::{collections::BTreeSet, process::Command};

use observer_tests::cluster::{Adapter, Cluster, adapter::VERSIONS, turn};
use serde_json::Value;

const GROUP: &str = "custom.metrics.k8s.io";
const TOGETHER: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;q=0.5";

/// The version of HTTP and the code of an answer, as curl tells them.
fn spoken(option: &str, url: &str, token: &str) -> String {
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--insecure", "--max-time", "10", option])
        .args(["--output", "/dev/null"])
        .args(["--write-out", "%{http_version} %{http_code}"])
        .args(["--header", &format!("Authorization: Bearer {token}"), url]);
    let output = command.output().expect("curl");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn both_versions_of_http_are_spoken() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let adapter = Adapter::get(&cluster);
    let token = cluster.token("kube-system", "horizontal-pod-autoscaler");
    let path = Adapter::path("v1beta2", "nodes/*/go_goroutines");
    let replicas = adapter.replicas();
    let direct = replicas
        .iter()
        .map(|one| format!("https://{}:6443", one.address));
    let server = cluster.env("KUBERNETES_URL").expect("its address");
    for at in direct.chain([server]) {
        for (option, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
            for path in [path.as_str(), "/healthz"] {
                let found = spoken(option, &format!("{at}{path}"), &token);
                assert_eq!(found, format!("{version} 200"), "{at}{path}");
            }
        }
    }
}

fn texts<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    let items = list.as_array().expect("a list").iter();
    items.filter_map(|item| item[field].as_str()).collect()
}

/// As `pods/go_goroutines`, of one version.
fn of_old_list(adapter: &Adapter, version: &str) -> BTreeSet<String> {
    let list = adapter.ask(version, "").body;
    let names = texts(&list["resources"], "name");
    names.into_iter().map(str::to_owned).collect()
}

/// The same, as aggregated discovery has it.
fn of_aggregated(version: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for resource in version["resources"].as_array().expect("resources") {
        let name = resource["resource"].as_str().expect("a name");
        let below = texts(&resource["subresources"], "subresource");
        all.extend(below.into_iter().map(|metric| format!("{name}/{metric}")));
    }
    all
}

#[test]
fn both_forms_of_discovery_tell_the_same() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let adapter = Adapter::get(&cluster);
    let group = |list: &Value, name: fn(&Value) -> &Value| {
        let all = list.as_array()?.iter();
        all.clone().find(|one| *name(one) == GROUP).cloned()
    };
    let old = adapter.api.get("/apis");
    let old = group(&old["groups"], |one| &one["name"]).expect("the group in the old list");
    assert_eq!(texts(&old["versions"], "version"), ["v1beta2", "v1beta1"]);
    // The API server looks again every minute.
    let found = adapter.api.await_get_as("/apis", TOGETHER, |list| {
        assert_eq!(list["kind"], "APIGroupDiscoveryList", "{list}");
        let found = group(&list["items"], |one| &one["metadata"]["name"])?;
        let versions = found["versions"].as_array()?;
        let current = versions.iter().all(|one| one["freshness"] == "Current");
        (current && versions.len() == VERSIONS.len()).then_some(found)
    });
    assert_eq!(texts(&found["versions"], "version"), ["v1beta2", "v1beta1"]);
    for version in found["versions"].as_array().expect("versions") {
        let name = version["version"].as_str().expect("its name");
        let old = of_old_list(&adapter, name);
        assert!(old.contains("pods/go_goroutines"), "{old:?}");
        assert_eq!(of_aggregated(version), old, "{name}");
    }
}

#[test]
fn the_api_server_passes_the_description_on() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let adapter = Adapter::get(&cluster);
    for version in VERSIONS {
        let key = format!("apis/{GROUP}/{version}");
        // Taken over in the background, once the version is available.
        let url = adapter.api.await_get("/openapi/v3", |list| {
            Some(
                list["paths"][&key]["serverRelativeURL"]
                    .as_str()?
                    .to_owned(),
            )
        });
        for url in [url, format!("/openapi/v3/{key}")] {
            let document = adapter.api.get(&url);
            assert_eq!(document["openapi"], "3.0.0", "{url}");
            let path = format!("/{key}/namespaces/{{namespace}}/{{resource}}/{{name}}/{{metric}}");
            assert!(document["paths"][&path]["get"].is_object(), "{url}: {path}");
            let list = format!("io.k8s.metrics.pkg.apis.custom_metrics.{version}.MetricValueList");
            assert!(
                document["components"]["schemas"][&list].is_object(),
                "{url}: {list}"
            );
        }
    }
}
