//! Values that labels alone choose.

use serde_json::json;

use super::{EXTERNAL, shop};
use crate::fixtures::Front;

#[tokio::test]
async fn labels_alone_choose_an_external_value() {
    let (world, _nodes) = shop().await;
    let jane = Front::start(&world).await.jane();
    let ask = async |query: &str| {
        let path = format!("{EXTERNAL}/namespaces/shop/go_goroutines?labelSelector={query}");
        let (status, body) = jane.get(&path).await;
        assert_eq!(status, 200, "{query}: {body}");
        assert_eq!(body["kind"], "ExternalMetricValueList");
        assert_eq!(body["apiVersion"], "external.metrics.k8s.io/v1beta1");
        let items = body["items"].as_array().unwrap().clone();
        // An autoscaler adds items up, which only a sum may be.
        assert!(items.len() <= 1, "{query}: {body}");
        items.into_iter().next()
    };
    for (query, expected) in [
        ("", Some("2115")),
        ("app%3Dweb", Some("2015")),
        ("go-observer/deployment%3Dweb", Some("2015")),
        ("go-observer/deployment", Some("2015")),
        ("!go-observer/deployment", Some("100")),
        ("go-observer/pod%20in%20(web-0,api-0)", Some("115")),
        ("go-observer/node%3Db", Some("2k")),
        ("app%3Dweb,go-observer/container%3Dsidecar", Some("5")),
        ("go-observer/container%3Dnone", None),
        ("go-observer/daemonset%3Dweb", None),
        ("app%3Dplain", None),
    ] {
        let item = ask(query).await;
        let value = item.as_ref().map(|item| item["value"].as_str().unwrap());
        assert_eq!(value, expected, "{query}");
    }
    let item = ask("app%3Dweb").await.unwrap();
    assert_eq!(item["metricName"], "go_goroutines");
    assert_eq!(item["metricLabels"], json!({"app": "web"}));
    assert!(item.get("window").is_none() && item.get("timestamp").is_some());
    let path = format!("{EXTERNAL}/namespaces/shop/other");
    assert_eq!(jane.get(&path).await.0, 404);
    // Less than the whole is no value.
    world.shop("web-9", "c", "web");
    assert_eq!(ask("app%3Dweb").await, None);
}
