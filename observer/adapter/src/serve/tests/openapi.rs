//! Descriptions held against answers.

use serde_json::{Value, json};

use super::{EXTERNAL, V2, shop};
use crate::fixtures::Front;

/// Every reference leads somewhere.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str));
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(array) => array.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn openapi_tells_of_what_is_answered() {
    let (world, _nodes) = shop().await;
    let jane = Front::start(&world).await.jane();
    let (_, list) = jane.get("/openapi/v3").await;
    let paths = list["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 3);
    for (path, entry) in paths {
        let url = entry["serverRelativeURL"].as_str().unwrap();
        assert!(
            url.starts_with(&format!("/openapi/v3/{path}?hash=")),
            "{url}"
        );
        let (status, document) = jane.get(url).await;
        assert_eq!((status, &document["openapi"]), (200, &json!("3.0.0")));
        let mut found = Vec::new();
        references(&document, &mut found);
        let schemas = &document["components"]["schemas"];
        for reference in found {
            let name = reference.strip_prefix("#/components/schemas/").unwrap();
            assert!(schemas[name].is_object(), "{path}: {reference}");
        }
        // Each field that is served is described.
        let (value, schema) = if path.contains("external") {
            let asked = format!("{EXTERNAL}/namespaces/shop/go_goroutines");
            (asked, "external_metrics.v1beta1.ExternalMetricValue")
        } else if path.ends_with("v1beta2") {
            let asked = format!("{V2}/namespaces/shop/pods/web-0/go_goroutines");
            (asked, "custom_metrics.v1beta2.MetricValue")
        } else {
            let asked = "/apis/custom.metrics.k8s.io/v1beta1/nodes/a/go_goroutines";
            (asked.to_owned(), "custom_metrics.v1beta1.MetricValue")
        };
        let (_, served) = jane.get(&value).await;
        let schema = &schemas[format!("io.k8s.metrics.pkg.apis.{schema}")];
        let item = served["items"][0].as_object().unwrap();
        for field in item.keys() {
            assert!(schema["properties"][field].is_object(), "{path}: {field}");
        }
        for field in schema["required"].as_array().unwrap() {
            assert!(
                item.contains_key(field.as_str().unwrap()),
                "{path}: {field}"
            );
        }
    }
    let protobuf = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf";
    let accept = [("accept", protobuf)];
    assert_eq!(jane.ask("GET", "/openapi/v3", &accept).await.0, 406);
}
