//! The adapter's, and what lies over them.

use std::collections::BTreeSet;

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{PodSpec, Service},
        policy::v1::PodDisruptionBudget,
        rbac::v1::ClusterRole,
    },
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use serde_json::Value;

use super::{ADAPTER, CERT_MANAGER, EXTERNAL, capabilities, container, objects, one, typed};

#[test]
fn the_adapter_is_registered_for_both_versions_and_reached_by_its_name() {
    let objects = objects(ADAPTER);
    let of = |kind: &'static str| objects.iter().filter(move |object| object["kind"] == kind);
    let mut registered: Vec<_> = of("APIService")
        .map(|object| {
            let spec = typed::<APIService>(object).spec.unwrap();
            assert_eq!(spec.insecure_skip_tls_verify, None);
            assert!(
                spec.ca_bundle.is_none(),
                "applying again would take it away"
            );
            let service = spec.service.unwrap();
            assert_eq!(service.namespace.as_deref(), Some("go-observer"));
            assert_eq!(service.name.as_deref(), Some("observer-adapter"));
            (spec.version.unwrap(), spec.version_priority)
        })
        .collect();
    registered.sort();
    let expected = [("v1beta1".to_owned(), 100), ("v1beta2".to_owned(), 200)];
    assert_eq!(registered, expected);

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

fn api_services(objects: &[Value]) -> Vec<String> {
    let services = objects.iter().filter(|it| it["kind"] == "APIService");
    let mut names: Vec<_> = services
        .map(|it| {
            let service = typed::<APIService>(it);
            let (name, spec) = (service.metadata.name.unwrap(), service.spec.unwrap());
            let (version, group) = (spec.version.unwrap(), spec.group.unwrap());
            assert_eq!(name, format!("{version}.{group}"));
            name
        })
        .collect();
    names.sort();
    names
}

#[test]
fn a_cluster_whose_group_is_taken_is_served_another() {
    let objects = objects(EXTERNAL);
    assert_eq!(api_services(&objects), ["v1beta1.external.metrics.k8s.io"]);
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
    for service in objects.iter().filter(|it| it["kind"] == "APIService") {
        let annotations = &service["metadata"]["annotations"];
        let from = annotations["cert-manager.io/inject-ca-from"].as_str();
        assert_eq!(from, Some("go-observer/observer-adapter"));
    }
    let rules = objects.iter().flat_map(|object| {
        let rules = object["rules"].as_array().cloned();
        rules.unwrap_or_default()
    });
    for rule in rules {
        let resources = rule["resources"].to_string();
        let kept = ["secrets", "apiservices"];
        assert!(kept.iter().all(|it| !resources.contains(it)), "{rule}");
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
