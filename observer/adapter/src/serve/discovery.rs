//! What is served, as clients discover it: old lists per version, and the
//! groups with all their versions in one.

use axum::{
    http::{HeaderMap, header::ACCEPT},
    response::Response,
};
use serde_json::{Value, json};

use super::{document::Document, openapi};
use crate::{
    api::{
        group::{ApiGroup, ApiGroups, ApiVersion},
        path::ObjectKind,
    },
    metrics::METRICS,
};

const JSON: &str = "application/json";
/// How aggregated discovery is asked for and answered, newest first.
const AGGREGATED: [&str; 2] = ["v2", "v2beta1"];

/// Documents that tell what is served.
pub(crate) struct Discovery {
    groups: Document,
    together: [Document; 2],
    each: Vec<(ApiGroup, Document)>,
    resources: Vec<Versioned>,
    openapi: Document,
    schemas: Vec<Versioned>,
}

/// The document of one version of a group.
struct Versioned {
    group: ApiGroup,
    version: ApiVersion,
    document: Document,
}

impl Discovery {
    /// Of these groups.
    pub(crate) fn new(groups: ApiGroups) -> Self {
        let all = groups.all();
        let list: Vec<Value> = all.iter().copied().map(entry).collect();
        let list = json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": list});
        let each = all.iter().map(|group| {
            let mut value = entry(*group);
            value["kind"] = "APIGroup".into();
            value["apiVersion"] = "v1".into();
            (*group, Document::new(&value))
        });
        let schemas = versioned(groups, openapi::schema);
        let paths = schemas.iter().map(|schema| {
            let path = format!("apis/{}", schema.group.api_version(schema.version));
            (path, schema.document.digest())
        });
        Self {
            groups: Document::new(&list),
            together: AGGREGATED.map(|discovery| Document::new(&together(groups, discovery))),
            each: each.collect(),
            resources: versioned(groups, resources),
            openapi: Document::new(&openapi::list(paths)),
            schemas,
        }
    }

    /// `/apis`.
    pub(super) fn groups(&self, headers: &HeaderMap) -> Response {
        let Some(index) = aggregated(headers) else {
            return self.groups.answer(JSON, headers);
        };
        let version = AGGREGATED[index];
        let media = format!("{JSON};g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
        self.together[index].answer(&media, headers)
    }

    /// As `/apis/custom.metrics.k8s.io`.
    pub(super) fn group(&self, of: ApiGroup, headers: &HeaderMap) -> Option<Response> {
        let mut all = self.each.iter();
        let (_, document) = all.find(|(group, _)| *group == of)?;
        Some(document.answer(JSON, headers))
    }

    /// The resources of a version.
    pub(super) fn resources(
        &self,
        of: (ApiGroup, ApiVersion),
        headers: &HeaderMap,
    ) -> Option<Response> {
        Some(find(&self.resources, of)?.answer(JSON, headers))
    }

    /// `/openapi/v3`.
    pub(super) fn openapi(&self, headers: &HeaderMap) -> Response {
        self.openapi.answer(JSON, headers)
    }

    /// The schema of a version; `None` where JSON is not accepted.
    pub(super) fn schema(
        &self,
        of: (ApiGroup, ApiVersion),
        headers: &HeaderMap,
    ) -> Option<Response> {
        Some(find(&self.schemas, of)?.answer(JSON, headers))
    }
}

fn versioned(groups: ApiGroups, of: impl Fn(ApiGroup, ApiVersion) -> Value) -> Vec<Versioned> {
    let each = groups.all().iter().flat_map(|group| {
        let versions = group.versions().iter();
        versions.map(|version| (*group, *version))
    });
    each.map(|(group, version)| Versioned {
        group,
        version,
        document: Document::new(&of(group, version)),
    })
    .collect()
}

fn find(all: &[Versioned], of: (ApiGroup, ApiVersion)) -> Option<&Document> {
    let mut all = all.iter();
    all.find(|it| (it.group, it.version) == of)
        .map(|it| &it.document)
}

/// A group with its versions.
fn entry(group: ApiGroup) -> Value {
    let versions = group.versions().iter();
    let versions: Vec<_> = versions
        .map(|version| {
            json!({"groupVersion": group.api_version(*version), "version": version.name()})
        })
        .collect();
    json!({"name": group.name(), "versions": versions, "preferredVersion": versions[0]})
}

fn resources(group: ApiGroup, version: ApiVersion) -> Value {
    let resource = |name: String, namespaced: bool, kind: &str| {
        json!({
            "name": name,
            "singularName": "",
            "namespaced": namespaced,
            "kind": kind,
            "verbs": ["get"],
        })
    };
    let resources: Vec<Value> = match group {
        ApiGroup::Custom => ObjectKind::ALL
            .iter()
            .flat_map(|kind| METRICS.iter().map(move |metric| (kind, metric.name)))
            .map(|(kind, metric)| {
                let name = format!("{}/{metric}", kind.resource());
                resource(name, kind.is_namespaced(), "MetricValueList")
            })
            .collect(),
        ApiGroup::External => METRICS
            .iter()
            .map(|metric| resource(metric.name.to_owned(), true, "ExternalMetricValueList"))
            .collect(),
    };
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group.api_version(version),
        "resources": resources,
    })
}

/// Whether JSON is among what a client accepts.
pub(super) fn accepts_json(headers: &HeaderMap) -> bool {
    let mut ranges = ranges(headers).peekable();
    let any = ["*/*", "application/*", JSON];
    ranges.peek().is_none()
        || ranges.any(|range| {
            let media = range.split(';').next().unwrap_or_default().trim();
            any.contains(&media)
        })
}

fn ranges(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let accept = headers.get_all(ACCEPT).iter();
    accept
        .filter_map(|it| it.to_str().ok())
        .flat_map(|accept| accept.split(','))
        .map(str::trim)
}

/// Which form of aggregated discovery a client asks for, if any.
fn aggregated(headers: &HeaderMap) -> Option<usize> {
    let wanted = |range: &str, version: &str| {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next();
        let parts: Vec<_> = parts.collect();
        media == Some(JSON)
            && parts.contains(&"g=apidiscovery.k8s.io")
            && parts.contains(&"as=APIGroupDiscoveryList")
            && parts.contains(&format!("v={version}").as_str())
    };
    let asked = |version: &&str| ranges(headers).any(|range| wanted(range, version));
    AGGREGATED.iter().position(asked)
}

/// All versions in one, in the form into which the aggregator itself turns the
/// old lists.
fn together(groups: ApiGroups, discovery: &str) -> Value {
    let items: Vec<_> = groups
        .all()
        .iter()
        .map(|group| {
            let versions: Vec<_> = group
                .versions()
                .iter()
                .map(|version| {
                    let resources = discovered(*group, *version);
                    json!({"version": version.name(), "freshness": "Current", "resources": resources})
                })
                .collect();
            json!({
                "metadata": {"name": group.name(), "creationTimestamp": null},
                "versions": versions,
            })
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{discovery}"),
        "metadata": {},
        "items": items,
    })
}

/// Objects with their metrics as subresources; or metrics.
fn discovered(group: ApiGroup, version: ApiVersion) -> Vec<Value> {
    let of = |kind: &str| json!({"group": group.name(), "version": version.name(), "kind": kind});
    match group {
        ApiGroup::Custom => ObjectKind::ALL
            .iter()
            .map(|kind| {
                let metrics: Vec<Value> = METRICS
                    .iter()
                    .map(|metric| {
                        let response = of("MetricValueList");
                        json!({"subresource": metric.name, "responseKind": response, "verbs": ["get"]})
                    })
                    .collect();
                json!({
                    "resource": kind.resource(),
                    // There is no such object here; old clients must find something.
                    "responseKind": {"group": "", "version": "", "kind": ""},
                    "scope": if kind.is_namespaced() { "Namespaced" } else { "Cluster" },
                    "singularResource": "",
                    "verbs": [],
                    "subresources": metrics,
                })
            })
            .collect(),
        ApiGroup::External => METRICS
            .iter()
            .map(|metric| {
                json!({
                    "resource": metric.name,
                    "responseKind": of("ExternalMetricValueList"),
                    "scope": "Namespaced",
                    "singularResource": "",
                    "verbs": ["get"],
                })
            })
            .collect(),
    }
}
