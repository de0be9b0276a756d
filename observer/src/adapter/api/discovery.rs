//! What is served, as clients discover it: old lists per version, and the
//! group with both versions in one.

use std::{fmt::Write, sync::LazyLock};

use axum::{
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY},
    },
    response::{IntoResponse, Response},
};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::{
    body::GROUP,
    path::{Kind, Version},
};
use crate::adapter::metrics::METRICS;

/// How aggregated discovery is asked for and answered, newest first.
const AGGREGATED: [&str; 2] = ["v2", "v2beta1"];

struct Document {
    body: String,
    etag: String,
}

impl Document {
    fn new(value: &Value) -> Self {
        let body = value.to_string();
        let mut etag = String::from("\"");
        for byte in &digest(&SHA256, body.as_bytes()).as_ref()[..16] {
            // Writing to a String does not fail.
            let _ = write!(etag, "{byte:02X}");
        }
        etag.push('"');
        Self { body, etag }
    }

    fn answer(&self, media_type: &str, headers: &HeaderMap) -> Response {
        let same = headers
            .get_all(IF_NONE_MATCH)
            .iter()
            .any(|etag| etag.as_bytes() == self.etag.as_bytes());
        let mut response = if same {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            self.body.clone().into_response()
        };
        let answer = response.headers_mut();
        for (name, value) in [
            (CONTENT_TYPE, media_type),
            (ETAG, &self.etag),
            (CACHE_CONTROL, "public"),
            (VARY, "Accept"),
        ] {
            if let Ok(value) = HeaderValue::from_str(value) {
                answer.insert(name, value);
            }
        }
        response
    }
}

/// The versions that a group's entry names.
fn group() -> Value {
    let versions = Version::ALL.map(|version| {
        json!({"groupVersion": format!("{GROUP}/{}", version.name()), "version": version.name()})
    });
    json!({"name": GROUP, "versions": versions, "preferredVersion": versions[0]})
}

/// `/apis` for clients of old.
pub(super) fn groups(headers: &HeaderMap) -> Response {
    static GROUPS: LazyLock<Document> = LazyLock::new(|| {
        Document::new(&json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [group()]}))
    });
    static TOGETHER: LazyLock<[Document; 2]> =
        LazyLock::new(|| AGGREGATED.map(|version| Document::new(&together(version))));
    match aggregated(headers) {
        Some(index) => {
            let version = AGGREGATED[index];
            let media = format!(
                "application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
            );
            TOGETHER[index].answer(&media, headers)
        }
        None => GROUPS.answer("application/json", headers),
    }
}

/// `/apis/custom.metrics.k8s.io`.
pub(super) fn one_group(headers: &HeaderMap) -> Response {
    static ONE: LazyLock<Document> = LazyLock::new(|| {
        let mut value = group();
        value["kind"] = "APIGroup".into();
        value["apiVersion"] = "v1".into();
        Document::new(&value)
    });
    ONE.answer("application/json", headers)
}

/// The resources of a version.
pub(super) fn resources(version: Version, headers: &HeaderMap) -> Response {
    static LISTS: LazyLock<[Document; 2]> = LazyLock::new(|| {
        Version::ALL.map(|version| {
            let resources: Vec<Value> = Kind::ALL
                .iter()
                .flat_map(|kind| {
                    METRICS.iter().map(move |metric| {
                        json!({
                            "name": format!("{}/{}", kind.resource(), metric.name),
                            "singularName": "",
                            "namespaced": kind.is_namespaced(),
                            "kind": "MetricValueList",
                            "verbs": ["get"],
                        })
                    })
                })
                .collect();
            Document::new(&json!({
                "kind": "APIResourceList",
                "apiVersion": "v1",
                "groupVersion": format!("{GROUP}/{}", version.name()),
                "resources": resources,
            }))
        })
    });
    let index = Version::ALL.iter().position(|it| *it == version);
    LISTS[index.unwrap_or(0)].answer("application/json", headers)
}

/// Which form of aggregated discovery a client asks for, if any.
fn aggregated(headers: &HeaderMap) -> Option<usize> {
    let wanted = |range: &str, version: &str| {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next();
        let parts: Vec<_> = parts.collect();
        media == Some("application/json")
            && parts.contains(&"g=apidiscovery.k8s.io")
            && parts.contains(&"as=APIGroupDiscoveryList")
            && parts.contains(&format!("v={version}").as_str())
    };
    let accept = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|it| it.to_str().ok());
    let ranges: Vec<&str> = accept.flat_map(|accept| accept.split(',')).collect();
    AGGREGATED
        .iter()
        .position(|version| ranges.iter().any(|range| wanted(range.trim(), version)))
}

/// Both versions in one, each resource with its metrics as subresources: the
/// form into which the aggregator itself turns the old lists.
fn together(discovery: &str) -> Value {
    let versions = Version::ALL.map(|version| {
        let kind = json!({"group": GROUP, "version": version.name(), "kind": "MetricValueList"});
        let resources = Kind::ALL.map(|of| {
            let metrics: Vec<Value> = METRICS
                .iter()
                .map(|metric| {
                    json!({"subresource": metric.name, "responseKind": kind, "verbs": ["get"]})
                })
                .collect();
            json!({
                "resource": of.resource(),
                // There is no such object here; old clients must find something.
                "responseKind": {"group": "", "version": "", "kind": ""},
                "scope": if of.is_namespaced() { "Namespaced" } else { "Cluster" },
                "singularResource": "",
                "verbs": [],
                "subresources": metrics,
            })
        });
        json!({"version": version.name(), "freshness": "Current", "resources": resources})
    });
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{discovery}"),
        "metadata": {},
        "items": [{"metadata": {"name": GROUP, "creationTimestamp": null}, "versions": versions}],
    })
}
