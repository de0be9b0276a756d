//! What a path asks for. One reading serves both the right that is needed and
//! the answer, so that the two cannot differ.

use observer_node::auth::review::Access;
use percent_encoding::percent_decode_str;

use super::group::{ApiGroup, ApiGroups, ApiVersion};

/// A kind of object that has values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ObjectKind {
    /// A pod.
    Pod,
    /// A workload of the group `apps`.
    Workload(WorkloadKind),
    /// A namespace: all its pods.
    Namespace,
    /// A node: all its pods.
    Node,
}

/// A kind of workload, which controls pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum WorkloadKind {
    /// `deployments.apps`.
    Deployment,
    /// `statefulsets.apps`.
    StatefulSet,
    /// `replicasets.apps`.
    ReplicaSet,
    /// `daemonsets.apps`.
    DaemonSet,
}

impl WorkloadKind {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [
        Self::Deployment,
        Self::StatefulSet,
        Self::ReplicaSet,
        Self::DaemonSet,
    ];
}

impl ObjectKind {
    /// All that discovery tells of.
    pub(crate) const ALL: [Self; 7] = [
        Self::Pod,
        Self::Workload(WorkloadKind::Deployment),
        Self::Workload(WorkloadKind::StatefulSet),
        Self::Workload(WorkloadKind::ReplicaSet),
        Self::Workload(WorkloadKind::DaemonSet),
        Self::Namespace,
        Self::Node,
    ];

    /// The resource with its group, as discovery writes it.
    pub(crate) const fn resource(self) -> &'static str {
        match self {
            Self::Pod => "pods",
            Self::Workload(WorkloadKind::Deployment) => "deployments.apps",
            Self::Workload(WorkloadKind::StatefulSet) => "statefulsets.apps",
            Self::Workload(WorkloadKind::ReplicaSet) => "replicasets.apps",
            Self::Workload(WorkloadKind::DaemonSet) => "daemonsets.apps",
            Self::Namespace => "namespaces",
            Self::Node => "nodes",
        }
    }

    /// The object's kind and version.
    pub(crate) const fn described(self) -> (&'static str, &'static str) {
        match self {
            Self::Pod => ("Pod", "v1"),
            Self::Workload(WorkloadKind::Deployment) => ("Deployment", "apps/v1"),
            Self::Workload(WorkloadKind::StatefulSet) => ("StatefulSet", "apps/v1"),
            Self::Workload(WorkloadKind::ReplicaSet) => ("ReplicaSet", "apps/v1"),
            Self::Workload(WorkloadKind::DaemonSet) => ("DaemonSet", "apps/v1"),
            Self::Namespace => ("Namespace", "v1"),
            Self::Node => ("Node", "v1"),
        }
    }

    /// Whether its objects lie in namespaces.
    pub(crate) const fn is_namespaced(self) -> bool {
        matches!(self, Self::Pod | Self::Workload(_))
    }

    /// Of a resource, whose group may be left out.
    fn of(resource: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| {
            let full = kind.resource();
            full == resource || full.strip_suffix(".apps") == Some(resource)
        })
    }
}

/// Objects whose values are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RequestedObjects {
    /// In which version's words.
    pub version: ApiVersion,
    /// Of which kind.
    pub kind: ObjectKind,
    /// The resource as it was written.
    pub resource: String,
    /// Empty of what has no namespace.
    pub namespace: String,
    /// The object's; `None` of all that are selected.
    pub name: Option<String>,
    /// Which metric.
    pub metric: String,
}

/// Pods of a namespace whose metric is asked for; labels tell which.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct External {
    /// Where they lie.
    pub namespace: String,
    /// Which metric.
    pub metric: String,
}

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// `/apis`.
    Groups,
    /// As `/apis/custom.metrics.k8s.io`.
    Group(ApiGroup),
    /// The resources of a version.
    Resources(ApiGroup, ApiVersion),
    /// Values of objects.
    Values(RequestedObjects),
    /// A value of what labels select.
    External(External),
    /// The list of OpenAPI documents.
    OpenApi,
    /// The OpenAPI document of a version.
    Schema(ApiGroup, ApiVersion),
    /// Something that may be served elsewhere, or nothing.
    Other,
}

/// A request's path, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// What for.
    pub asked: Asked,
    /// The right that is needed.
    pub access: Access,
}

impl Request {
    /// Of a path as it was sent, by the method in lower case; `None` where it is
    /// not text or hides a separator.
    pub(crate) fn of(groups: ApiGroups, verb: &str, path: &str) -> Option<Self> {
        let parts: Vec<String> = path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(decode)
            .collect::<Option<_>>()?;
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let plain = |asked| Self {
            asked,
            access: Access::Path {
                verb: verb.to_owned(),
                path: path.to_owned(),
            },
        };
        let version = |group: &str, version: &str| {
            let group = groups.named(group)?;
            Some((group, group.version(version)?))
        };
        Some(match parts.as_slice() {
            ["apis"] => plain(Asked::Groups),
            ["openapi", "v3"] => plain(Asked::OpenApi),
            ["openapi", "v3", "apis", group, name] => plain(
                version(group, name).map_or(Asked::Other, |(group, version)| {
                    Asked::Schema(group, version)
                }),
            ),
            ["apis", group] => plain(groups.named(group).map_or(Asked::Other, Asked::Group)),
            ["apis", group, name, rest @ ..] => match (version(group, name), rest) {
                (Some((group, version)), []) => plain(Asked::Resources(group, version)),
                (Some((group, version)), rest) => resource(verb, group, version, rest),
                (None, _) => plain(Asked::Other),
            },
            _ => plain(Asked::Other),
        })
    }
}

fn decode(part: &str) -> Option<String> {
    let text = percent_decode_str(part).decode_utf8().ok()?;
    let plain = !text.contains('/') && !text.chars().any(char::is_control);
    // What a proxy on the way may read otherwise is nothing that we serve.
    (plain && text != "." && text != "..").then(|| text.into_owned())
}

/// Reads what follows the version, and its right as the API server's
/// RequestInfo names it.
fn resource(verb: &str, group: ApiGroup, version: ApiVersion, rest: &[&str]) -> Request {
    let (namespace, inner) = match rest {
        ["namespaces", namespace, inner @ ..] if !inner.is_empty() => (*namespace, inner),
        rest => ("", rest),
    };
    let part = |index: usize| inner.get(index).copied().unwrap_or_default().to_owned();
    let verb = match (verb, inner.len()) {
        ("get", 1) => "list",
        ("delete", 1) => "deletecollection",
        ("post", _) => "create",
        ("put", _) => "update",
        (verb, _) => verb,
    };
    let access = Access::Resource {
        verb: verb.to_owned(),
        group: group.name().to_owned(),
        version: version.name().to_owned(),
        namespace: namespace.to_owned(),
        resource: part(0),
        subresource: part(2),
        name: part(1),
    };
    let asked = match group {
        ApiGroup::Custom => target(version, namespace, inner).map(Asked::Values),
        ApiGroup::External => external(namespace, inner).map(Asked::External),
    };
    Request {
        asked: asked.unwrap_or(Asked::Other),
        access,
    }
}

fn target(version: ApiVersion, namespace: &str, inner: &[&str]) -> Option<RequestedObjects> {
    let target =
        |kind, resource: &str, namespace: &str, name: &str, metric: &str| RequestedObjects {
            version,
            kind,
            resource: resource.to_owned(),
            namespace: namespace.to_owned(),
            name: (name != "*").then(|| name.to_owned()),
            metric: metric.to_owned(),
        };
    match (namespace, inner) {
        ("", [resource, name, metric]) => ObjectKind::of(resource)
            .filter(|kind| *kind == ObjectKind::Node)
            .map(|kind| target(kind, resource, "", name, metric)),
        (namespace, ["metrics", metric]) if !namespace.is_empty() && namespace != "*" => Some(
            target(ObjectKind::Namespace, "namespaces", "", namespace, metric),
        ),
        (namespace, [resource, name, metric]) => match ObjectKind::of(resource)? {
            // The autoscaler asks for nodes within its own namespace.
            kind @ ObjectKind::Node => Some(target(kind, resource, "", name, metric)),
            ObjectKind::Namespace => None,
            kind => Some(target(kind, resource, namespace, name, metric)),
        },
        _ => None,
    }
}

fn external(namespace: &str, inner: &[&str]) -> Option<External> {
    match inner {
        [metric] if !namespace.is_empty() && namespace != "*" => Some(External {
            namespace: namespace.to_owned(),
            metric: (*metric).to_owned(),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
