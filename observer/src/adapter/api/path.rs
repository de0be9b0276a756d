//! What a path asks for. One reading serves both the right that is needed and
//! the answer, so that the two cannot differ.

use percent_encoding::percent_decode_str;

use super::body::GROUP;
use crate::auth::review::Access;

/// A version of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// `v1beta1`.
    V1Beta1,
    /// `v1beta2`.
    V1Beta2,
}

impl Version {
    /// All of them, the preferred first.
    pub const ALL: [Self; 2] = [Self::V1Beta2, Self::V1Beta1];

    /// As in paths.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1Beta1 => "v1beta1",
            Self::V1Beta2 => "v1beta2",
        }
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.name() == name)
    }
}

/// A kind of object that has values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A pod.
    Pod,
    /// A workload of the group `apps`.
    Workload(WorkloadKind),
    /// A namespace: all its pods.
    Namespace,
    /// A node: all its pods.
    Node,
}

/// A kind of workload, which selects pods by their labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WorkloadKind {
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
    pub const ALL: [Self; 4] = [
        Self::Deployment,
        Self::StatefulSet,
        Self::ReplicaSet,
        Self::DaemonSet,
    ];
}

impl Kind {
    /// All that discovery tells of.
    pub const ALL: [Self; 7] = [
        Self::Pod,
        Self::Workload(WorkloadKind::Deployment),
        Self::Workload(WorkloadKind::StatefulSet),
        Self::Workload(WorkloadKind::ReplicaSet),
        Self::Workload(WorkloadKind::DaemonSet),
        Self::Namespace,
        Self::Node,
    ];

    /// The resource with its group, as discovery writes it.
    pub const fn resource(self) -> &'static str {
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
    pub const fn described(self) -> (&'static str, &'static str) {
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
    pub const fn is_namespaced(self) -> bool {
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
pub struct Target {
    /// In which version's words.
    pub version: Version,
    /// Of which kind.
    pub kind: Kind,
    /// The resource as it was written.
    pub resource: String,
    /// Empty of what has no namespace.
    pub namespace: String,
    /// The object's; `None` of all that are selected.
    pub name: Option<String>,
    /// Which metric.
    pub metric: String,
}

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// `/apis`.
    Groups,
    /// `/apis/custom.metrics.k8s.io`.
    Group,
    /// The resources of a version.
    Resources(Version),
    /// Values.
    Values(Target),
    /// Something that may be served elsewhere, or nothing.
    Other,
}

/// A request's path, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What for.
    pub asked: Asked,
    /// The right that is needed.
    pub access: Access,
}

impl Request {
    /// Of a path as it was sent; `None` where it is not text or hides a
    /// separator.
    pub fn of(verb: &str, path: &str) -> Option<Self> {
        let parts: Vec<String> = path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(decode)
            .collect::<Option<_>>()?;
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let plain = || Access::Path {
            verb: verb.to_owned(),
            path: path.to_owned(),
        };
        let (asked, access) = match parts.as_slice() {
            ["apis"] => (Asked::Groups, plain()),
            ["apis", group] if *group == GROUP => (Asked::Group, plain()),
            ["apis", group, version, rest @ ..] if *group == GROUP => {
                match (Version::of(version), rest) {
                    (Some(version), []) => (Asked::Resources(version), plain()),
                    (Some(version), rest) => values(verb, version, rest),
                    (None, _) => (Asked::Other, plain()),
                }
            }
            _ => (Asked::Other, plain()),
        };
        Some(Self { asked, access })
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
fn values(verb: &str, version: Version, rest: &[&str]) -> (Asked, Access) {
    let (namespace, inner) = match rest {
        ["namespaces", namespace, inner @ ..] if !inner.is_empty() => (*namespace, inner),
        rest => ("", rest),
    };
    let part = |index: usize| inner.get(index).copied().unwrap_or_default().to_owned();
    let access = Access::Resource {
        verb: verb.to_owned(),
        group: GROUP.to_owned(),
        version: version.name().to_owned(),
        namespace: namespace.to_owned(),
        resource: part(0),
        subresource: part(2),
        name: part(1),
    };
    let target = |kind, resource: &str, namespace: &str, name: &str, metric: &str| Target {
        version,
        kind,
        resource: resource.to_owned(),
        namespace: namespace.to_owned(),
        name: (name != "*").then(|| name.to_owned()),
        metric: metric.to_owned(),
    };
    let asked = match (namespace, inner) {
        ("", [resource, name, metric]) => Kind::of(resource)
            .filter(|kind| *kind == Kind::Node)
            .map(|kind| target(kind, resource, "", name, metric)),
        (namespace, ["metrics", metric]) if !namespace.is_empty() && namespace != "*" => {
            Some(target(Kind::Namespace, "namespaces", "", namespace, metric))
        }
        (namespace, [resource, name, metric]) => Kind::of(resource).and_then(|kind| match kind {
            // The autoscaler asks for nodes within its own namespace.
            Kind::Node => Some(target(kind, resource, "", name, metric)),
            Kind::Namespace => None,
            kind => Some(target(kind, resource, namespace, name, metric)),
        }),
        _ => None,
    };
    (asked.map_or(Asked::Other, Asked::Values), access)
}

#[cfg(test)]
mod tests {
    use super::{Asked, Kind, Request, Version, WorkloadKind};
    use crate::auth::review::Access;

    const V2: &str = "/apis/custom.metrics.k8s.io/v1beta2";

    type Read = (Kind, String, Option<String>, String);

    fn values(rest: &str) -> Option<Read> {
        match Request::of("get", &format!("{V2}{rest}"))?.asked {
            Asked::Values(target) => {
                assert_eq!(target.version, Version::V1Beta2);
                Some((target.kind, target.namespace, target.name, target.metric))
            }
            _ => None,
        }
    }

    fn read(kind: Kind, namespace: &str, name: Option<&str>) -> Read {
        let (namespace, name) = (namespace.to_owned(), name.map(str::to_owned));
        (kind, namespace, name, "m".to_owned())
    }

    #[test]
    fn every_route_is_read() {
        for (rest, expected) in [
            (
                "/namespaces/shop/pods/web-0/m",
                Some(read(Kind::Pod, "shop", Some("web-0"))),
            ),
            (
                "/namespaces/shop/pods/*/m",
                Some(read(Kind::Pod, "shop", None)),
            ),
            (
                "/namespaces/shop/pods/%2A/m",
                Some(read(Kind::Pod, "shop", None)),
            ),
            (
                "/namespaces/shop/deployments.apps/web/m",
                Some(read(
                    Kind::Workload(WorkloadKind::Deployment),
                    "shop",
                    Some("web"),
                )),
            ),
            (
                "/namespaces/shop/statefulsets/web/m",
                Some(read(
                    Kind::Workload(WorkloadKind::StatefulSet),
                    "shop",
                    Some("web"),
                )),
            ),
            (
                "/namespaces/shop/nodes/a/m",
                Some(read(Kind::Node, "", Some("a"))),
            ),
            ("/nodes/a/m", Some(read(Kind::Node, "", Some("a")))),
            ("/nodes/*/m", Some(read(Kind::Node, "", None))),
            (
                "/namespaces/shop/metrics/m",
                Some(read(Kind::Namespace, "", Some("shop"))),
            ),
            ("/namespaces/shop/jobs.batch/a/m", None),
            ("/namespaces/*/metrics/m", None),
            ("/pods/a/m", None),
            ("/namespaces/shop/pods", None),
            ("/namespaces/shop/pods/a/m/more", None),
            ("/namespaces/shop/pods/..%2fa/m", None),
            ("/namespaces/shop/pods/%2e%2e/m", None),
            ("/namespaces/shop/pods/%ff/m", None),
        ] {
            assert_eq!(values(rest), expected, "{rest}");
        }
        for version in ["v1beta1", "v1beta2"] {
            let path = format!("/apis/custom.metrics.k8s.io/{version}/");
            let Asked::Resources(read) = Request::of("get", &path).unwrap().asked else {
                panic!("{path}");
            };
            assert_eq!(read.name(), version);
        }
    }

    #[test]
    fn the_right_is_the_one_that_kubernetes_would_name() {
        let resource = |path: &str| match Request::of("get", path).unwrap().access {
            Access::Resource {
                namespace,
                resource,
                subresource,
                name,
                ..
            } => Some([namespace, resource, name, subresource]),
            Access::Path { .. } => None,
        };
        for (rest, expected) in [
            (
                "/namespaces/shop/pods/%2A/m",
                Some(["shop", "pods", "*", "m"]),
            ),
            (
                "/namespaces/shop/metrics/m",
                Some(["shop", "metrics", "m", ""]),
            ),
            (
                "/namespaces/shop/nodes/a/m",
                Some(["shop", "nodes", "a", "m"]),
            ),
            ("/nodes/a/m", Some(["", "nodes", "a", "m"])),
            ("/nonsense", Some(["", "nonsense", "", ""])),
            ("", None),
        ] {
            let expected = expected.map(|parts| parts.map(str::to_owned));
            assert_eq!(resource(&format!("{V2}{rest}")), expected, "{rest}");
        }
        for path in [
            "/apis",
            "/metrics",
            "/apis/custom.metrics.k8s.io",
            "/apis/x/v1/pods",
        ] {
            assert_eq!(resource(path), None, "{path}");
        }
    }
}
