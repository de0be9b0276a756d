//! OpenAPI v3 of what is served. There is no v2: whoever asks for it finds
//! nothing, which aggregators take for an answer.

use serde_json::{Map, Value, json};

use crate::api::group::{ApiGroup, ApiVersion};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";
const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";

/// `/openapi/v3`: each document by its path, with the digest of it.
pub(super) fn list<'a>(documents: impl Iterator<Item = (String, &'a str)>) -> Value {
    let paths: Map<_, _> = documents
        .map(|(path, digest)| {
            let url = format!("/openapi/v3/{path}?hash={digest}");
            (path, json!({"serverRelativeURL": url}))
        })
        .collect();
    json!({"paths": paths})
}

/// The document of a version.
pub(super) fn schema(group: ApiGroup, version: ApiVersion) -> Value {
    let api = group.api_version(version);
    let Parts { paths, schemas } = match group {
        ApiGroup::Custom => custom(version),
        ApiGroup::External => external(),
    };
    let paths: Map<_, _> = paths
        .into_iter()
        .map(|(path, value)| (format!("/apis/{api}{path}"), value))
        .collect();
    let mut all = common();
    all.extend(schemas);
    json!({
        "openapi": "3.0.0",
        "info": {"title": "go-observer", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "components": {"schemas": all},
    })
}

/// What a version adds to the document of its group.
struct Parts {
    /// By path, behind the version's.
    paths: Vec<(&'static str, Value)>,
    /// By name.
    schemas: Map<String, Value>,
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// As Kubernetes writes it, so that a description may stand beside it.
fn of(name: &str, description: &str) -> Value {
    json!({"allOf": [reference(name)], "description": description, "default": {}})
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn strings() -> Value {
    json!({"type": "array", "items": {"type": "string", "default": ""}})
}

fn labels() -> Value {
    json!({"type": "object", "additionalProperties": {"type": "string", "default": ""}})
}

fn window() -> Value {
    let description = "What a rate was taken over, in whole seconds.";
    json!({"type": "integer", "format": "int64", "description": description})
}

fn timestamp() -> Value {
    of(
        &format!("{META}.Time"),
        "When the figures were observed, the oldest of them.",
    )
}

fn object(description: &str, required: &[&str], properties: Value) -> Value {
    let mut value = json!({"type": "object", "description": description});
    if !required.is_empty() {
        value["required"] = json!(required);
    }
    value["properties"] = properties;
    value
}

/// A list, which is what every path answers with.
fn list_of(item: &str, kind: &str, group: ApiGroup, version: ApiVersion) -> Value {
    let items = json!({"type": "array", "items": of(item, "")});
    let mut list = object(
        "Values.",
        &["items"],
        json!({
            "apiVersion": text("The version."),
            "kind": text("The kind."),
            "metadata": of(&format!("{META}.ListMeta"), ""),
            "items": items,
        }),
    );
    list["x-kubernetes-group-version-kind"] =
        json!([{"group": group.name(), "version": version.name(), "kind": kind}]);
    list
}

fn custom(version: ApiVersion) -> Parts {
    let name = |kind: &str| {
        format!(
            "io.k8s.metrics.pkg.apis.custom_metrics.{}.{kind}",
            version.name()
        )
    };
    let list = name("MetricValueList");
    let selectors = ["labelSelector", "metricLabelSelector"];
    let get = |of: &[&str]| read(&list, of, &selectors);
    let paths = vec![
        (
            "/namespaces/{namespace}/{resource}/{name}/{metric}",
            get(&["namespace", "resource", "name", "metric"]),
        ),
        (
            "/namespaces/{namespace}/metrics/{metric}",
            get(&["namespace", "metric"]),
        ),
        ("/nodes/{name}/{metric}", get(&["name", "metric"])),
    ];
    let selector = format!("{META}.LabelSelector");
    let described = of(&name("ObjectReference"), "Whose value it is.");
    let value = of(QUANTITY, "The value.");
    let properties = match version {
        ApiVersion::V1Beta1 => json!({
            "describedObject": described,
            "metricName": text("The metric."),
            "timestamp": timestamp(),
            "window": window(),
            "value": value,
            "selector": of(&selector, "Which containers count."),
        }),
        ApiVersion::V1Beta2 => json!({
            "describedObject": described,
            "metric": of(&name("MetricIdentifier"), "The metric."),
            "timestamp": timestamp(),
            "windowSeconds": window(),
            "value": value,
        }),
    };
    let item = name("MetricValue");
    let required = match version {
        ApiVersion::V1Beta1 => ["describedObject", "metricName", "timestamp", "value"],
        ApiVersion::V1Beta2 => ["describedObject", "metric", "timestamp", "value"],
    };
    let mut schemas = Map::new();
    schemas.insert(
        name("ObjectReference"),
        object(
            "An object.",
            &[],
            json!({
                "kind": text("Its kind."),
                "namespace": text("Its namespace, if it has one."),
                "name": text("Its name."),
                "apiVersion": text("The version of its kind."),
            }),
        ),
    );
    if version == ApiVersion::V1Beta2 {
        let properties = json!({
            "name": text("Its name."),
            "selector": of(&selector, "Which containers count."),
        });
        let metric = object("A metric.", &["name"], properties);
        schemas.insert(name("MetricIdentifier"), metric);
    }
    schemas.insert(item.clone(), object("A value.", &required, properties));
    let kind = "MetricValueList";
    schemas.insert(list, list_of(&item, kind, ApiGroup::Custom, version));
    Parts { paths, schemas }
}

fn external() -> Parts {
    let name = |kind: &str| format!("io.k8s.metrics.pkg.apis.external_metrics.v1beta1.{kind}");
    let (list, item) = (name("ExternalMetricValueList"), name("ExternalMetricValue"));
    let get = read(&list, &["namespace", "metric"], &["labelSelector"]);
    let paths = vec![("/namespaces/{namespace}/{metric}", get)];
    let required = ["metricName", "metricLabels", "timestamp", "value"];
    let properties = json!({
        "metricName": text("The metric."),
        "metricLabels": labels(),
        "timestamp": timestamp(),
        "window": window(),
        "value": of(QUANTITY, "The value."),
    });
    let mut schemas = Map::new();
    schemas.insert(item.clone(), object("A value.", &required, properties));
    let kind = "ExternalMetricValueList";
    let all = list_of(&item, kind, ApiGroup::External, ApiVersion::V1Beta1);
    schemas.insert(list, all);
    Parts { paths, schemas }
}

fn read(answer: &str, path: &[&str], query: &[&str]) -> Value {
    let parameter = |place: &str, name: &&str| json!({"name": name, "in": place, "required": place == "path", "schema": {"type": "string"}});
    let mut parameters: Vec<_> = path.iter().map(|name| parameter("path", name)).collect();
    parameters.extend(query.iter().map(|name| parameter("query", name)));
    let content = json!({"application/json": {"schema": reference(answer)}});
    json!({"get": {
        "parameters": parameters,
        "responses": {
            "200": {"description": "OK", "content": content},
            "401": {"description": "Unauthorized"},
        },
    }})
}

/// What Kubernetes' own documents have under these names.
fn common() -> Map<String, Value> {
    let requirement = format!("{META}.LabelSelectorRequirement");
    let schemas = [
        (
            format!("{META}.ListMeta"),
            object(
                "Of a list.",
                &[],
                json!({
                    "continue": {"type": "string"},
                    "remainingItemCount": {"type": "integer", "format": "int64"},
                    "resourceVersion": {"type": "string"},
                    "selfLink": {"type": "string"},
                }),
            ),
        ),
        (
            format!("{META}.Time"),
            json!({"type": "string", "format": "date-time"}),
        ),
        (
            format!("{META}.LabelSelector"),
            object(
                "All of it must hold.",
                &[],
                json!({
                    "matchLabels": labels(),
                    "matchExpressions": {"type": "array", "items": of(&requirement, "")},
                }),
            ),
        ),
        (
            requirement.clone(),
            object(
                "A requirement.",
                &["key", "operator"],
                json!({
                    "key": text("The label."),
                    "operator": text("In, NotIn, Exists or DoesNotExist."),
                    "values": strings(),
                }),
            ),
        ),
        (
            QUANTITY.to_owned(),
            json!({
                "oneOf": [{"type": "string"}, {"type": "number"}],
                "description": "A number with a suffix, as 1500m or 2Gi.",
            }),
        ),
    ];
    schemas.into_iter().collect()
}
