//! Paths as clients write them.

use observer_node::auth::review::Access;

use super::{Asked, External, ObjectKind, Request, WorkloadKind};
use crate::api::group::{ApiGroup, ApiGroups, ApiVersion};

const V2: &str = "/apis/custom.metrics.k8s.io/v1beta2";

type Read = (ObjectKind, String, Option<String>, String);

fn values(rest: &str) -> Option<Read> {
    match Request::of(ApiGroups::Both, "get", &format!("{V2}{rest}"))?.asked {
        Asked::Values(target) => {
            assert_eq!(target.version, ApiVersion::V1Beta2);
            Some((target.kind, target.namespace, target.name, target.metric))
        }
        _ => None,
    }
}

fn read(kind: ObjectKind, namespace: &str, name: Option<&str>) -> Read {
    let (namespace, name) = (namespace.to_owned(), name.map(str::to_owned));
    (kind, namespace, name, "m".to_owned())
}

#[test]
fn every_route_is_read() {
    for (rest, expected) in [
        (
            "/namespaces/shop/pods/web-0/m",
            Some(read(ObjectKind::Pod, "shop", Some("web-0"))),
        ),
        (
            "/namespaces/shop/pods/*/m",
            Some(read(ObjectKind::Pod, "shop", None)),
        ),
        (
            "/namespaces/shop/pods/%2A/m",
            Some(read(ObjectKind::Pod, "shop", None)),
        ),
        (
            "/namespaces/shop/deployments.apps/web/m",
            Some(read(
                ObjectKind::Workload(WorkloadKind::Deployment),
                "shop",
                Some("web"),
            )),
        ),
        (
            "/namespaces/shop/statefulsets/web/m",
            Some(read(
                ObjectKind::Workload(WorkloadKind::StatefulSet),
                "shop",
                Some("web"),
            )),
        ),
        (
            "/namespaces/shop/nodes/a/m",
            Some(read(ObjectKind::Node, "", Some("a"))),
        ),
        ("/nodes/a/m", Some(read(ObjectKind::Node, "", Some("a")))),
        ("/nodes/*/m", Some(read(ObjectKind::Node, "", None))),
        (
            "/namespaces/shop/metrics/m",
            Some(read(ObjectKind::Namespace, "", Some("shop"))),
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
        let Asked::Resources(ApiGroup::Custom, read) =
            Request::of(ApiGroups::Both, "get", &path).unwrap().asked
        else {
            panic!("{path}");
        };
        assert_eq!(read.name(), version);
    }
}

#[test]
fn the_right_is_the_one_that_kubernetes_would_name() {
    let resource = |path: &str| match Request::of(ApiGroups::Both, "get", path).unwrap().access {
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

#[test]
fn a_metric_of_labels_is_a_resource_of_its_own() {
    const EXTERNAL: &str = "/apis/external.metrics.k8s.io/v1beta1";
    let asked = |groups, rest: &str| {
        let path = format!("{EXTERNAL}{rest}");
        let request = Request::of(groups, "get", &path).unwrap();
        let verb = match request.access {
            Access::Path { .. } => "path".to_owned(),
            Access::Resource { verb, resource, .. } => format!("{verb} {resource}"),
        };
        (request.asked, verb)
    };
    let value = Asked::External(External {
        namespace: "shop".to_owned(),
        metric: "m".to_owned(),
    });
    // As RequestInfo has it: without a name, to get is to list.
    let expected = (value, "list m".to_owned());
    assert_eq!(asked(ApiGroups::External, "/namespaces/shop/m"), expected);
    let other = |verb: &str| (Asked::Other, verb.to_owned());
    assert_eq!(
        asked(ApiGroups::Custom, "/namespaces/shop/m"),
        other("path")
    );
    assert_eq!(asked(ApiGroups::Both, "/namespaces/*/m"), other("list m"));
    assert_eq!(asked(ApiGroups::Both, "/m"), other("list m"));
    assert_eq!(
        asked(ApiGroups::Both, "/namespaces/shop/m/x"),
        other("get m")
    );
    let list = Asked::Resources(ApiGroup::External, ApiVersion::V1Beta1);
    assert_eq!(asked(ApiGroups::External, ""), (list, "path".to_owned()));
}
