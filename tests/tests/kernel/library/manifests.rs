//! What `kubectl apply -k` would send, held against the API's own types:
//! nothing unknown, nothing of the wrong type, and the rights that were meant.
#![expect(
    clippy::unwrap_used,
    reason = "what these helpers read is this repository's own"
)]

use std::{collections::BTreeSet, env, fs, path::PathBuf, process::Command};

use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, Deployment},
        core::v1::{Container, Namespace, PodSpec, ResourceQuota, Secret, Service, ServiceAccount},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
        rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

mod adapter;
mod confined;

const BASE: &str = "observer";
const ADAPTER: &str = "adapter";
const EXTERNAL: &str = "adapter-overlays/external-metrics";
const CERT_MANAGER: &str = "adapter-overlays/cert-manager";
const NEEDED: [&str; 5] = ["BPF", "DAC_READ_SEARCH", "LEASE", "PERFMON", "SYS_PTRACE"];

fn deploy() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// The objects of a kustomization below deploy/.
fn objects(kustomization: &str) -> Vec<Value> {
    let kubectl = env::var_os("OBSERVER_KUBECTL").unwrap_or_else(|| "kubectl".into());
    let output = Command::new(kubectl)
        .arg("kustomize")
        .arg(deploy().join(kustomization))
        .output()
        .expect("kubectl is not in PATH; run cargo xtask setup, or name it in OBSERVER_KUBECTL");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{kustomization}: {said}");
    assert!(said.is_empty(), "{kustomization} warns: {said}");
    let text = String::from_utf8(output.stdout).unwrap();
    serde_saphyr::from_multiple(&text).unwrap()
}

fn overlays() -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(deploy().join("overlays"))
        .unwrap()
        .map(|entry| format!("overlays/{}", entry.unwrap().file_name().display()))
        .collect();
    names.sort();
    assert!(names.len() > 5, "{names:?}");
    names
}

/// An object as its type, which must know every one of its fields.
fn typed<T: DeserializeOwned>(object: &Value) -> T {
    let mut unknown = Vec::new();
    let typed = serde_ignored::deserialize(object, |path| unknown.push(path.to_string()))
        .unwrap_or_else(|error| panic!("{error} in {object}"));
    assert!(
        unknown.is_empty(),
        "no such fields: {unknown:?} in {object}"
    );
    typed
}

fn one<T: DeserializeOwned>(objects: &[Value], kind: &str) -> T {
    let found: Vec<_> = objects
        .iter()
        .filter(|object| object["kind"] == kind)
        .collect();
    assert_eq!(found.len(), 1, "{kind}");
    typed(found[0])
}

fn check(object: &Value) {
    match object["kind"].as_str().unwrap() {
        "ClusterRole" => drop(typed::<ClusterRole>(object)),
        "ClusterRoleBinding" => drop(typed::<ClusterRoleBinding>(object)),
        "DaemonSet" => drop(typed::<DaemonSet>(object)),
        "Deployment" => drop(typed::<Deployment>(object)),
        "Namespace" => drop(typed::<Namespace>(object)),
        "NetworkPolicy" => drop(typed::<NetworkPolicy>(object)),
        "PodDisruptionBudget" => drop(typed::<PodDisruptionBudget>(object)),
        "Role" => drop(typed::<Role>(object)),
        "RoleBinding" => drop(typed::<RoleBinding>(object)),
        "ResourceQuota" => drop(typed::<ResourceQuota>(object)),
        "Secret" => drop(typed::<Secret>(object)),
        "Service" => drop(typed::<Service>(object)),
        "ServiceAccount" => drop(typed::<ServiceAccount>(object)),
        "Certificate" | "Issuer" => assert_eq!(object["apiVersion"], "cert-manager.io/v1"),
        // Of OpenShift; its one use is held against the pod in `confined`.
        "SecurityContextConstraints" => {
            assert_eq!(object["apiVersion"], "security.openshift.io/v1");
        }
        // Of the Prometheus Operator; the API has no type for it.
        "PodMonitor" => assert_eq!(object["apiVersion"], "monitoring.coreos.com/v1"),
        kind => panic!("no check for a {kind}"),
    }
}

fn pod(daemon_set: &DaemonSet) -> &PodSpec {
    let spec = daemon_set.spec.as_ref().unwrap();
    spec.template.spec.as_ref().unwrap()
}

fn container(pod: &PodSpec) -> &Container {
    assert_eq!(pod.containers.len(), 1);
    &pod.containers[0]
}

fn capabilities(container: &Container) -> BTreeSet<String> {
    let context = container.security_context.as_ref().unwrap();
    let capabilities = context.capabilities.as_ref().unwrap();
    assert_eq!(capabilities.drop.as_deref(), Some(&["ALL".to_owned()][..]));
    capabilities.add.iter().flatten().cloned().collect()
}

#[test]
fn every_field_of_every_kustomization_exists() {
    for kustomization in overlays().iter().map(String::as_str).chain([
        BASE,
        ADAPTER,
        EXTERNAL,
        CERT_MANAGER,
        "examples/burst",
    ]) {
        for object in objects(kustomization) {
            check(&object);
        }
    }
}

#[test]
fn a_field_that_does_not_exist_is_found() {
    let object =
        json!({"kind": "Service", "metadata": {"name": "x"}, "spec": {"clusterIp": "None"}});
    let mut unknown = Vec::new();
    let _: Service =
        serde_ignored::deserialize(&object, |path| unknown.push(path.to_string())).unwrap();
    assert_eq!(unknown, ["spec.?.clusterIp"]);
}

#[test]
fn the_observer_has_five_capabilities_and_no_more_rights() {
    let objects = objects(BASE);
    let daemon_set: DaemonSet = one(&objects, "DaemonSet");
    let pod = pod(&daemon_set);
    assert_eq!(pod.host_pid, Some(true));
    assert_eq!((pod.host_network, pod.host_ipc), (None, None));
    assert!(
        pod.volumes
            .iter()
            .flatten()
            .all(|volume| volume.host_path.is_none())
    );
    let seccomp = pod.security_context.as_ref().unwrap();
    assert_eq!(
        seccomp.seccomp_profile.as_ref().unwrap().type_,
        "RuntimeDefault"
    );
    let container = container(pod);
    assert_eq!(capabilities(container), NEEDED.map(str::to_owned).into());
    let context = container.security_context.as_ref().unwrap();
    assert_eq!(context.privileged, Some(false));
    assert_eq!(context.allow_privilege_escalation, Some(false));
    assert_eq!(context.read_only_root_filesystem, Some(true));

    let role = objects
        .iter()
        .find(|object| {
            object["kind"] == "ClusterRole" && object["metadata"]["name"] == "go-observer"
        })
        .map(typed::<ClusterRole>)
        .unwrap();
    let rules: Vec<_> = role
        .rules
        .iter()
        .flatten()
        .map(|rule| {
            (
                rule.resources.clone().unwrap_or_default().join(","),
                rule.verbs.join(","),
            )
        })
        .collect();
    let expected = [
        ("pods", "get,list,watch"),
        ("namespaces", "get,list,watch"),
        ("tokenreviews", "create"),
        ("subjectaccessreviews", "create"),
    ];
    assert_eq!(
        rules,
        expected.map(|(what, verbs)| (what.to_owned(), verbs.to_owned()))
    );
}

/// Of others the adapter says that they can have no observer.
#[test]
fn every_machine_that_the_image_is_for_gets_an_observer() {
    for kustomization in overlays().into_iter().chain([BASE.to_owned()]) {
        let daemon_set: DaemonSet = one(&objects(&kustomization), "DaemonSet");
        let spec = serde_json::to_value(pod(&daemon_set)).unwrap();
        assert_eq!(
            spec["nodeSelector"],
            json!({"kubernetes.io/os": "linux"}),
            "{kustomization}"
        );
        let affinity = &spec["affinity"]["nodeAffinity"];
        let terms =
            &affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"];
        // Terms are alternatives; what is asked for within one holds together.
        assert_eq!(terms.as_array().map(Vec::len), Some(1), "{kustomization}");
        assert_eq!(
            terms[0]["matchExpressions"][0],
            json!({"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64", "arm64"]}),
            "{kustomization}"
        );
    }
}

#[test]
fn names_and_ports_fit_together_in_every_overlay() {
    for kustomization in overlays().into_iter().chain([BASE.to_owned()]) {
        let objects = objects(&kustomization);
        let daemon_set: DaemonSet = one(&objects, "DaemonSet");
        let spec = daemon_set.spec.as_ref().unwrap();
        let labels = spec
            .template
            .metadata
            .as_ref()
            .unwrap()
            .labels
            .clone()
            .unwrap();
        let service: Service = one(&objects, "Service");
        let service = service.spec.unwrap();
        for (name, value) in spec
            .selector
            .match_labels
            .iter()
            .chain(&service.selector)
            .flatten()
        {
            assert_eq!(labels.get(name), Some(value), "{kustomization}");
        }
        let container = container(pod(&daemon_set));
        let ports: Vec<_> = container
            .ports
            .iter()
            .flatten()
            .filter_map(|port| port.name.clone())
            .collect();
        let known = |port: &IntOrString| match port {
            IntOrString::String(name) => ports.contains(name),
            IntOrString::Int(_) => true,
        };
        let probes = [
            &container.startup_probe,
            &container.liveness_probe,
            &container.readiness_probe,
        ];
        let scheme = ports[0].to_uppercase();
        for probe in probes {
            let get = probe.as_ref().unwrap().http_get.as_ref().unwrap();
            assert!(known(&get.port), "{kustomization}: {:?}", get.port);
            assert_eq!(get.scheme.as_ref(), Some(&scheme), "{kustomization}");
        }
        let annotations = spec
            .template
            .metadata
            .as_ref()
            .unwrap()
            .annotations
            .clone()
            .unwrap();
        assert_eq!(
            annotations["prometheus.io/scheme"], ports[0],
            "{kustomization}"
        );
        assert!(known(
            service.ports.unwrap()[0].target_port.as_ref().unwrap()
        ));
        let policy: NetworkPolicy = one(&objects, "NetworkPolicy");
        let ingress = policy.spec.unwrap().ingress.unwrap();
        let open = ingress[0].ports.as_ref().unwrap()[0].port.clone().unwrap();
        assert!(known(&open), "{kustomization}: {open:?}");
    }
}

#[test]
fn each_overlay_changes_what_it_says() {
    let of = |name: &str| -> DaemonSet { one(&objects(&format!("overlays/{name}")), "DaemonSet") };
    let more: BTreeSet<String> = NEEDED
        .iter()
        .chain(&["SYS_ADMIN"])
        .map(|name| (*name).to_owned())
        .collect();
    let slow = of("older-kernel");
    assert_eq!(capabilities(container(pod(&slow))), more);
    assert_eq!(pod(&slow).termination_grace_period_seconds, Some(60));
    let older = of("older-containerd");
    let context = pod(&older).security_context.clone().unwrap();
    assert_eq!(context.seccomp_profile.unwrap().type_, "Unconfined");
    assert_eq!(
        capabilities(container(pod(&older))),
        NEEDED.map(str::to_owned).into()
    );
    let args = |name: &str| container(pod(&of(name))).args.clone().unwrap().join(" ");
    assert_eq!(args("plain-http"), "node --insecure-http");
    assert_eq!(args("all-processes"), "node --host-processes");
    assert!(args("tls").contains("--tls-cert-file=/etc/go-observer/tls/tls.crt"));
}

#[test]
fn the_image_is_the_one_that_xtask_makes() {
    let daemon_set: DaemonSet = one(&objects(BASE), "DaemonSet");
    assert_eq!(
        container(pod(&daemon_set)).image.as_deref(),
        Some(concat!("go-observer/observer:", env!("CARGO_PKG_VERSION")))
    );
}
