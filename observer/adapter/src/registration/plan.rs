//! What is to be done about the APIServices of a group, by what they are.

use k8s_openapi::ByteString;
use serde_json::{Value, json};

use crate::api::group::{ApiGroup, ApiVersion};

/// Autoscalers use the version of the highest priority.
const fn priority(version: ApiVersion) -> i32 {
    match version {
        ApiVersion::V1Beta1 => 100,
        ApiVersion::V1Beta2 => 200,
    }
}
const GROUP_PRIORITY: i32 = 100;
const PORT: i32 = 443;

/// What the adapter's APIServices are like.
pub(super) struct Ours<'a> {
    pub(super) namespace: &'a str,
    pub(super) service: &'a str,
    /// An owner reference.
    pub(super) owner: Value,
    /// `None` where somebody else writes it.
    pub(super) bundle: Option<&'a str>,
}

/// A version of a group, and its APIService.
pub(super) struct RegisteredVersion {
    pub(super) group: ApiGroup,
    pub(super) version: ApiVersion,
    pub(super) found: Option<Value>,
}

/// One change, of the APIService of this name.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    Create { name: String, object: Value },
    Mend { name: String, patch: Value },
    Delete { name: String, options: Value },
}

/// Changes, and what is said of them.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// Another server has the group: which APIService says so.
    pub(super) another: Option<String>,
}

/// What to do about a group that is served, or not. A group has one server: with
/// one version of another's, autoscalers would be led to either.
pub(super) fn plan(served: bool, entries: &[RegisteredVersion], ours: &Ours<'_>) -> Plan {
    let another = entries.iter().find_map(|entry| {
        let found = entry.found.as_ref().filter(|found| !ours.is_of(found))?;
        let name = entry.group.api_service(entry.version);
        Some(format!("APIService {name} leads to {}", leads_to(found)))
    });
    let served = served && another.is_none();
    let steps = entries.iter().filter_map(|entry| {
        let name = entry.group.api_service(entry.version);
        match &entry.found {
            None if served => {
                let object = ours.made(entry, &name);
                Some(Step::Create { name, object })
            }
            Some(found) if served => {
                let patch = ours.mend(found)?;
                Some(Step::Mend { name, patch })
            }
            // As it was looked at: another server may take it at this moment.
            Some(found) if ours.is_of(found) => {
                let now = &found["metadata"];
                let now = json!({"uid": now["uid"], "resourceVersion": now["resourceVersion"]});
                let options =
                    json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": now});
                Some(Step::Delete { name, options })
            }
            _ => None,
        }
    });
    Plan {
        steps: steps.collect(),
        another,
    }
}

fn leads_to(found: &Value) -> String {
    let service = &found["spec"]["service"];
    match (service["namespace"].as_str(), service["name"].as_str()) {
        (Some(namespace), Some(name)) => format!("Service {namespace}/{name}"),
        _ => "the API server itself".to_owned(),
    }
}

impl Ours<'_> {
    fn is_of(&self, found: &Value) -> bool {
        let service = &found["spec"]["service"];
        service["namespace"] == self.namespace && service["name"] == self.service
    }

    fn made(&self, entry: &RegisteredVersion, name: &str) -> Value {
        let labels = json!({
            "app.kubernetes.io/name": "observer-adapter",
            "app.kubernetes.io/part-of": "go-observer",
        });
        let service = json!({"namespace": self.namespace, "name": self.service, "port": PORT});
        let mut made = json!({
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": name, "labels": labels, "ownerReferences": [self.owner]},
            "spec": {
                "group": entry.group.name(),
                "version": entry.version.name(),
                "groupPriorityMinimum": GROUP_PRIORITY,
                "versionPriority": priority(entry.version),
                "service": service,
            },
        });
        if let Some(bundle) = self.bundle {
            made["spec"]["caBundle"] = base64(bundle);
        }
        made
    }

    /// What is wrong with one of ours, from an earlier version, another server
    /// or somebody's hand.
    fn mend(&self, found: &Value) -> Option<Value> {
        let mut patch = json!({});
        let owners = found["metadata"]["ownerReferences"].as_array();
        let owners = owners.map(Vec::as_slice).unwrap_or_default();
        if !owners.contains(&self.owner) {
            // Of ours only the one that is there; all of them must be gone
            // before the APIService goes.
            let others = owners.iter().filter(|it| it["name"] != self.owner["name"]);
            let all: Vec<_> = others.chain([&self.owner]).collect();
            patch["metadata"]["ownerReferences"] = json!(all);
        }
        let spec = &found["spec"];
        if let Some(bundle) = self.bundle.map(base64) {
            // The API server refuses the two together.
            if spec["caBundle"] != bundle || spec["insecureSkipTLSVerify"] == true {
                patch["spec"]["caBundle"] = bundle;
                patch["spec"]["insecureSkipTLSVerify"] = Value::Null;
            }
        }
        if patch == json!({}) {
            return None;
        }
        // Unless it was changed meanwhile.
        patch["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"].clone();
        Some(patch)
    }
}

fn base64(text: &str) -> Value {
    json!(ByteString(text.as_bytes().to_vec()))
}
