//! What security modules are told.

use k8s_openapi::api::{
    apps::v1::DaemonSet,
    core::v1::{PodSpec, SELinuxOptions},
    rbac::v1::{ClusterRole, RoleBinding},
};
use serde::Deserialize;
use serde_json::Value;

use super::{BASE, NEEDED, capabilities, container, objects, one, overlays, pod, typed};

const ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/observer";
const OLDER: &str = "overlays/older-kubernetes";
const OPENSHIFT: &str = "overlays/openshift";

/// `security.openshift.io/v1`; Kubernetes has no type for it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "as OpenShift has it")]
struct Constraints {
    #[serde(rename = "apiVersion")]
    api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    #[serde(rename = "metadata")]
    metadata: Value,
    #[serde(rename = "allowHostPID")]
    host_pid: bool,
    #[serde(rename = "allowHostIPC")]
    host_ipc: bool,
    allow_host_network: bool,
    allow_host_ports: bool,
    allow_host_dir_volume_plugin: bool,
    allow_privileged_container: bool,
    allow_privilege_escalation: bool,
    read_only_root_filesystem: bool,
    allowed_capabilities: Vec<String>,
    default_add_capabilities: Vec<String>,
    required_drop_capabilities: Vec<String>,
    run_as_user: RunAsUser,
    se_linux_context: SeLinuxContext,
    seccomp_profiles: Vec<String>,
    #[serde(rename = "fsGroup")]
    _fs_group: Value,
    #[serde(rename = "supplementalGroups")]
    _supplemental_groups: Value,
    volumes: Vec<String>,
    users: Vec<String>,
    groups: Vec<String>,
}

#[derive(Deserialize)]
struct RunAsUser {
    r#type: String,
    uid: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SeLinuxContext {
    r#type: String,
    se_linux_options: SELinuxOptions,
}

fn app_armor(pod: &PodSpec) -> Option<String> {
    let context = container(pod).security_context.as_ref().unwrap();
    let profile = context.app_armor_profile.as_ref()?;
    Some(profile.type_.clone())
}

#[test]
fn app_armor_confines_the_observer_nowhere() {
    for kustomization in overlays().into_iter().chain([BASE.to_owned()]) {
        let daemon_set: DaemonSet = one(&objects(&kustomization), "DaemonSet");
        let pod = pod(&daemon_set);
        let template = &daemon_set.spec.as_ref().unwrap().template;
        let annotations = template.metadata.as_ref().unwrap().annotations.clone();
        let annotation = annotations.unwrap().remove(ANNOTATION);
        let said = (app_armor(pod), annotation);
        // Before 1.30 the API server knows no such field, and kubectl refuses it.
        let expected = if kustomization == OLDER {
            (None, Some("unconfined".to_owned()))
        } else {
            (Some("Unconfined".to_owned()), None)
        };
        assert_eq!(said, expected, "{kustomization}");
        let name = &container(pod).name;
        assert!(ANNOTATION.ends_with(&format!("/{name}")), "{name}");
    }
}

#[test]
fn open_shift_lets_the_pod_in_and_nothing_more() {
    let objects = objects(OPENSHIFT);
    let scc: Constraints = one(&objects, "SecurityContextConstraints");
    assert_eq!(scc.api_version, "security.openshift.io/v1");
    let name = scc.metadata["name"].as_str().unwrap();
    let daemon_set: DaemonSet = one(&objects, "DaemonSet");
    let pod = pod(&daemon_set);
    let context = container(pod).security_context.clone().unwrap();

    // What the pod asks for is allowed.
    assert_eq!(pod.host_pid, Some(scc.host_pid));
    assert_eq!(context.privileged, Some(scc.allow_privileged_container));
    assert_eq!(
        context.allow_privilege_escalation,
        Some(scc.allow_privilege_escalation)
    );
    assert_eq!(
        context.read_only_root_filesystem,
        Some(scc.read_only_root_filesystem)
    );
    assert_eq!(
        capabilities(container(pod)),
        scc.allowed_capabilities.iter().cloned().collect()
    );
    let user = (scc.run_as_user.r#type.as_str(), scc.run_as_user.uid);
    assert_eq!(
        (user, context.run_as_user),
        (("MustRunAs", 0), Some(0)),
        "the user"
    );
    let options = pod.security_context.as_ref().unwrap();
    assert_eq!(
        options.se_linux_options.as_ref(),
        Some(&scc.se_linux_context.se_linux_options)
    );
    assert_eq!(scc.se_linux_context.r#type, "MustRunAs");
    let options = &scc.se_linux_context.se_linux_options;
    assert_eq!(options.type_.as_deref(), Some("spc_t"));
    // Without one the namespace's is taken, and the pod's is another.
    assert!(options.level.is_some(), "{options:?}");
    assert_eq!(scc.seccomp_profiles, ["runtime/default"]);
    // The kubelet adds the token as a projected one.
    let volumes = pod.volumes.iter().flatten();
    assert!(volumes.clone().all(|volume| volume.secret.is_some()));
    assert_eq!(scc.volumes, ["secret", "projected"]);

    // Nothing else is.
    assert_eq!(scc.allowed_capabilities.len(), NEEDED.len());
    assert_eq!(scc.required_drop_capabilities, ["ALL"]);
    assert!(scc.default_add_capabilities.is_empty());
    let more = [
        scc.host_ipc,
        scc.allow_host_network,
        scc.allow_host_ports,
        scc.allow_host_dir_volume_plugin,
        scc.allow_privileged_container,
    ];
    assert_eq!(more, [false; 5]);
    assert!(scc.users.is_empty() && scc.groups.is_empty());

    // The observer's account may use them, and they are asked for by name.
    let template = daemon_set.spec.as_ref().unwrap().template.metadata.clone();
    let annotations = template.unwrap().annotations.unwrap();
    assert_eq!(annotations["openshift.io/required-scc"], name);
    let role = objects
        .iter()
        .filter(|object| object["kind"] == "ClusterRole")
        .map(typed::<ClusterRole>)
        .find(|role| role.metadata.name.as_deref() == Some("go-observer-scc"))
        .unwrap();
    let rules = role.rules.unwrap();
    assert_eq!(rules.len(), 1);
    assert_eq!(rules[0].verbs, ["use"]);
    assert_eq!(
        rules[0].resource_names.as_deref(),
        Some(&[name.to_owned()][..])
    );
    let binding: RoleBinding = one(&objects, "RoleBinding");
    assert_eq!(Some(binding.role_ref.name), role.metadata.name);
    let subjects = binding.subjects.unwrap();
    assert_eq!(subjects.len(), 1);
    assert_eq!(Some(&subjects[0].name), pod.service_account_name.as_ref());
}
