//! The adapter's, and what lies over them.

use std::collections::BTreeSet;

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{PodSpec, Service},
    policy::v1::PodDisruptionBudget,
    rbac::v1::ClusterRole,
};
use serde_json::Value;

use super::{ADAPTER, BASE, CERT_MANAGER, EXTERNAL, capabilities, container, objects, one, typed};

/// What `kubectl apply` would take from another server that has it.
#[test]
fn no_manifest_has_an_api_service() {
    for directory in [ADAPTER, EXTERNAL, CERT_MANAGER] {
        let objects = objects(directory);
        let mut services = objects.iter().filter(|it| it["kind"] == "APIService");
        assert_eq!(services.next(), None, "{directory}");
    }
}

/// The adapter's APIServices name it as their owner: whoever deletes one of the
/// two must delete this.
#[test]
fn the_owner_of_api_services_goes_with_the_observers_and_with_the_adapter() {
    for directory in [BASE, ADAPTER, EXTERNAL, CERT_MANAGER] {
        let objects = objects(directory);
        let owner = objects
            .iter()
            .find(|it| it["kind"] == "ClusterRole" && it["metadata"]["name"] == "go-observer");
        assert!(owner.is_some(), "{directory}");
    }
}

#[test]
fn the_adapter_is_reached_by_its_name_and_may_do_what_it_must() {
    let objects = objects(ADAPTER);
    let of = |kind: &'static str| objects.iter().filter(move |object| object["kind"] == kind);
    let deployment: Deployment = one(&objects, "Deployment");
    assert_eq!(
        deployment.metadata.namespace.as_deref(),
        Some("go-observer")
    );
    let spec = deployment.spec.unwrap();
    assert_eq!(spec.replicas, Some(2));
    let labels = spec.template.metadata.unwrap().labels.unwrap();
    let service = of("Service")
        .map(typed::<Service>)
        .find(|service| service.metadata.name.as_deref() == Some("observer-adapter"));
    let selector = service.unwrap().spec.unwrap().selector.unwrap();
    let budget: PodDisruptionBudget = one(&objects, "PodDisruptionBudget");
    let protected = budget.spec.unwrap().selector.unwrap().match_labels.unwrap();
    for (name, value) in selector.iter().chain(&protected) {
        assert_eq!(labels.get(name), Some(value));
    }
    let pod = spec.template.spec.unwrap();
    assert!(capabilities(container(&pod)).is_empty());
    assert_eq!(pod.security_context.unwrap().run_as_non_root, Some(true));

    // Every role that is bound exists, here or in every cluster.
    let known: BTreeSet<String> = of("ClusterRole")
        .chain(of("Role"))
        .map(|role| role["metadata"]["name"].as_str().unwrap().to_owned())
        .chain(
            [
                "system:auth-delegator",
                "extension-apiserver-authentication-reader",
            ]
            .map(str::to_owned),
        )
        .collect();
    for binding in of("ClusterRoleBinding").chain(of("RoleBinding")) {
        let role = binding["roleRef"]["name"].as_str().unwrap();
        assert!(known.contains(role), "{role}");
    }
    let reader = of("RoleBinding")
        .find(|object| object["roleRef"]["name"] == "extension-apiserver-authentication-reader");
    assert_eq!(reader.unwrap()["metadata"]["namespace"], "kube-system");
}

fn adapter_pod(objects: &[Value]) -> PodSpec {
    let deployment: Deployment = one(objects, "Deployment");
    deployment.spec.unwrap().template.spec.unwrap()
}

#[test]
fn a_cluster_whose_group_is_taken_is_served_another() {
    let objects = objects(EXTERNAL);
    let pod = adapter_pod(&objects);
    assert_eq!(
        container(&pod).args.as_deref().unwrap(),
        ["adapter", "--group=external"]
    );
    // What it keeps the caBundle of, and what autoscalers may read.
    let rules: Vec<_> = objects
        .iter()
        .filter(|it| it["kind"] == "ClusterRole")
        .flat_map(|role| typed::<ClusterRole>(role).rules.unwrap_or_default())
        .collect();
    let names = |rule: &k8s_openapi::api::rbac::v1::PolicyRule| {
        let names = rule.resource_names.clone().unwrap_or_default();
        names.contains(&"v1beta1.external.metrics.k8s.io".to_owned())
    };
    assert!(rules.iter().any(names));
    let reads = |rule: &k8s_openapi::api::rbac::v1::PolicyRule| {
        let groups = rule.api_groups.clone().unwrap_or_default();
        groups.contains(&"external.metrics.k8s.io".to_owned())
            && rule.verbs.contains(&"list".to_owned())
    };
    assert!(rules.iter().any(reads));
}

#[test]
fn with_cert_manager_the_adapter_needs_no_secret_of_its_own() {
    let objects = objects(CERT_MANAGER);
    let rules = objects.iter().flat_map(|object| {
        let rules = object["rules"].as_array().cloned();
        rules.unwrap_or_default()
    });
    for rule in rules {
        let resources = rule["resources"].to_string();
        assert!(!resources.contains("secrets"), "{rule}");
    }
    let pod = adapter_pod(&objects);
    let secret = pod.volumes.unwrap().remove(0).secret.unwrap();
    assert_ne!(secret.optional, Some(true));
    let secrets: BTreeSet<_> = objects
        .iter()
        .filter(|object| object["kind"] == "Certificate")
        .map(|object| object["spec"]["secretName"].as_str().unwrap())
        .collect();
    assert!(secrets.contains(secret.secret_name.unwrap().as_str()));
    assert!(secrets.contains("go-observer-node-tls"));
    let issuers: BTreeSet<_> = objects
        .iter()
        .filter(|object| object["kind"] == "Issuer")
        .map(|object| object["metadata"]["name"].as_str().unwrap())
        .collect();
    for certificate in objects.iter().filter(|it| it["kind"] == "Certificate") {
        let issuer = certificate["spec"]["issuerRef"]["name"].as_str().unwrap();
        assert!(issuers.contains(issuer), "{certificate}");
    }
}
