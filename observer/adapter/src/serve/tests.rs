//! The API as a client sees it, over TLS, from nodes that really serve.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::{
    fixtures::{FakeNode, Front, World, limits},
    metrics::METRICS,
};

mod external;
mod openapi;

const V2: &str = "/apis/custom.metrics.k8s.io/v1beta2";
const EXTERNAL: &str = "/apis/external.metrics.k8s.io/v1beta1";

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

async fn shop() -> (World, Vec<FakeNode>) {
    let world = World::new(limits()).listed(&["a", "b"]);
    let a = [
        ("web-0", "app", 10),
        ("web-0", "sidecar", 5),
        ("api-0", "app", 100),
    ];
    let nodes = vec![
        FakeNode::start(&world, 0, "a", &a).await,
        FakeNode::start(&world, 1, "b", &[("web-1", "app", 2000)]).await,
    ];
    world.shop("web-0", "a", "web");
    world.shop("web-1", "b", "web");
    world.shop("api-0", "a", "api");
    world.shop("plain", "a", "plain");
    world.deployment("web", "web");
    world.deployment("plain", "plain");
    (world, nodes)
}

#[tokio::test]
async fn every_route_has_its_values() {
    let (world, _nodes) = shop().await;
    let jane = Front::start(&world).await.jane();
    let m = "go_goroutines";
    for (path, expected) in [
        (
            format!("/namespaces/shop/pods/web-0/{m}"),
            Ok(vec![pair("web-0", "15")]),
        ),
        (
            format!("/namespaces/shop/pods/*/{m}"),
            Ok(vec![
                pair("api-0", "100"),
                pair("web-0", "15"),
                pair("web-1", "2k"),
            ]),
        ),
        (
            format!(
                "/namespaces/shop/pods/%2A/{m}?labelSelector=app%20in%20(web)&metricLabelSelector="
            ),
            Ok(vec![pair("web-0", "15"), pair("web-1", "2k")]),
        ),
        (
            format!("/namespaces/shop/pods/*/{m}?metricLabelSelector=container%3Dsidecar"),
            Ok(vec![pair("web-0", "5")]),
        ),
        (
            format!("/namespaces/shop/pods/*/{m}?labelSelector=app%3Dnone"),
            Ok(vec![]),
        ),
        (
            format!("/namespaces/shop/deployments.apps/web/{m}"),
            Ok(vec![pair("web", "2015")]),
        ),
        (
            format!("/namespaces/shop/deployments.apps/*/{m}?labelSelector=team"),
            Ok(vec![pair("web", "2015")]),
        ),
        (
            format!("/namespaces/shop/metrics/{m}"),
            Ok(vec![pair("shop", "2115")]),
        ),
        (format!("/nodes/a/{m}"), Ok(vec![pair("a", "115")])),
        (
            format!("/namespaces/any/nodes/b/{m}"),
            Ok(vec![pair("b", "2k")]),
        ),
        (
            format!("/nodes/*/{m}?labelSelector=zone%3Dz1"),
            Ok(vec![pair("b", "2k")]),
        ),
        (
            "/namespaces/shop/pods/web-1/go_runnable_goroutines_per_processor".to_owned(),
            Ok(vec![pair("web-1", "750m")]),
        ),
        (
            "/namespaces/shop/pods/web-1/go_heap_bytes".to_owned(),
            Ok(vec![pair("web-1", "1048576")]),
        ),
        // One sample has no rate yet.
        (
            "/namespaces/shop/pods/web-1/go_gc_pause_ratio".to_owned(),
            Err(404),
        ),
        (format!("/namespaces/shop/pods/plain/{m}"), Err(404)),
        (format!("/namespaces/shop/pods/nobody/{m}"), Err(404)),
        (
            format!("/namespaces/shop/deployments.apps/plain/{m}"),
            Err(404),
        ),
        (format!("/namespaces/empty/metrics/{m}"), Err(404)),
        ("/namespaces/shop/pods/web-0/other".to_owned(), Err(404)),
        ("/namespaces/shop/pods/*/other".to_owned(), Err(404)),
        (format!("/namespaces/shop/jobs.batch/a/{m}"), Err(404)),
        (
            format!("/namespaces/shop/pods/*/{m}?labelSelector=a%3D%3D%3D"),
            Err(400),
        ),
        (
            format!("/namespaces/shop/pods/*/{m}?labelSelector=%ff"),
            Err(400),
        ),
    ] {
        assert_eq!(jane.values(&path).await, expected, "{path}");
    }
}

#[tokio::test]
async fn a_value_says_when_it_was_observed() {
    let (world, _nodes) = shop().await;
    let jane = Front::start(&world).await.jane();
    let before = SystemTime::now();
    let (_, body) = jane
        .get(&format!("{V2}/namespaces/shop/pods/web-0/go_goroutines"))
        .await;
    let item = &body["items"][0];
    assert_eq!(
        item["describedObject"],
        json!({"kind": "Pod", "namespace": "shop", "name": "web-0", "apiVersion": "v1"})
    );
    assert_eq!(
        item["metric"],
        json!({"name": "go_goroutines", "selector": null})
    );
    let at = humantime::parse_rfc3339(item["timestamp"].as_str().unwrap()).unwrap();
    let age = before.duration_since(at).unwrap();
    assert!(age < Duration::from_secs(5), "{age:?}");
    let path = "/apis/custom.metrics.k8s.io/v1beta1/nodes/a/go_goroutines";
    let (_, body) = jane.get(path).await;
    assert_eq!(body["apiVersion"], "custom.metrics.k8s.io/v1beta1");
    assert_eq!(body["items"][0]["metricName"], "go_goroutines");
    let described = &body["items"][0]["describedObject"];
    assert_eq!(
        *described,
        json!({"kind": "Node", "name": "a", "apiVersion": "v1"})
    );
}

#[tokio::test]
async fn rates_come_with_their_window() {
    let (world, nodes) = shop().await;
    let jane = Front::start(&world).await.jane();
    let first = nodes[1].snapshots.borrow().clone().unwrap();
    let mut later = (*first).clone();
    later.at += Duration::from_secs(4);
    let process = std::sync::Arc::make_mut(&mut later.processes[0]);
    let sample = std::sync::Arc::make_mut(process.figures.state.as_mut().unwrap());
    let figures = std::sync::Arc::make_mut(&mut sample.figures);
    figures.goroutines.created = Some(2006);
    // Asked once, so that the first was recorded.
    jane.values("/nodes/b/go_goroutines").await.unwrap();
    nodes[1].snapshots.send_replace(Some(later.into()));
    let path = format!("{V2}/namespaces/shop/pods/web-1/go_goroutines_created_per_second");
    let (_, body) = jane.get(&path).await;
    assert_eq!(body["items"][0]["value"], "1500m", "{body}");
    assert_eq!(body["items"][0]["windowSeconds"], 4);
}

#[tokio::test]
async fn errors_are_those_of_kubernetes() {
    let (world, _nodes) = shop().await;
    let front = Front::start(&world).await;
    let jane = front.jane();
    let (status, body) = jane
        .get(&format!("{V2}/namespaces/shop/pods/nobody/go_goroutines"))
        .await;
    assert_eq!(status, 404);
    assert_eq!(
        body,
        json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": "the server could not find the metric go_goroutines for pods nobody: there is no such object",
            "reason": "NotFound",
            "code": 404,
        })
    );
    for (method, path, expected, reason) in [
        (
            "POST",
            format!("{V2}/namespaces/shop/pods/*/go_goroutines"),
            405,
            "MethodNotAllowed",
        ),
        ("DELETE", V2.to_owned(), 405, "MethodNotAllowed"),
        (
            "GET",
            "/apis/custom.metrics.k8s.io/v1".to_owned(),
            404,
            "NotFound",
        ),
        ("GET", "/".to_owned(), 404, "NotFound"),
        ("GET", "/openapi/v2".to_owned(), 404, "NotFound"),
        (
            "GET",
            "/openapi/v3/apis/apps/v1".to_owned(),
            404,
            "NotFound",
        ),
        (
            "GET",
            format!("{V2}/namespaces/shop/pods/%2f/m"),
            400,
            "BadRequest",
        ),
    ] {
        let (status, headers, body) = jane.ask(method, &path, &[]).await;
        assert_eq!(status, expected, "{method} {path}: {body}");
        assert_eq!(headers["content-type"], "application/json");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (&body["kind"], &body["reason"]),
            (&json!("Status"), &json!(reason))
        );
    }
}

#[tokio::test]
async fn discovery_tells_of_every_metric_in_every_form() {
    let (world, _nodes) = shop().await;
    let jane = Front::start(&world).await.jane();
    for version in ["v1beta1", "v1beta2"] {
        let (_, list) = jane
            .get(&format!("/apis/custom.metrics.k8s.io/{version}"))
            .await;
        assert_eq!(list["kind"], "APIResourceList");
        let resources = list["resources"].as_array().unwrap();
        assert_eq!(resources.len(), 7 * METRICS.len());
        let find = |name: &str| resources.iter().find(|it| it["name"] == name).unwrap();
        assert_eq!(find("deployments.apps/go_heap_bytes")["namespaced"], true);
        assert_eq!(find("nodes/go_goroutines")["namespaced"], false);
        assert_eq!(find("namespaces/go_goroutines")["verbs"], json!(["get"]));
    }
    let (_, group) = jane.get("/apis/custom.metrics.k8s.io").await;
    assert_eq!(group["preferredVersion"]["version"], "v1beta2");
    let (_, groups) = jane.get("/apis").await;
    assert_eq!(groups["groups"][0]["versions"].as_array().unwrap().len(), 2);
    let (_, list) = jane.get(EXTERNAL).await;
    assert_eq!(list["groupVersion"], "external.metrics.k8s.io/v1beta1");
    let resources = list["resources"].as_array().unwrap();
    assert_eq!(resources.len(), METRICS.len());
    assert_eq!(
        resources[0],
        json!({
            "name": METRICS[0].name,
            "singularName": "",
            "namespaced": true,
            "kind": "ExternalMetricValueList",
            "verbs": ["get"],
        })
    );

    let media = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let accept = format!("{media},application/json;q=0.9");
    let (_, headers, body) = jane.ask("GET", "/apis", &[("accept", &accept)]).await;
    assert_eq!(headers["content-type"], media);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["kind"], "APIGroupDiscoveryList");
    assert_eq!(
        body["items"][0]["metadata"]["name"],
        "custom.metrics.k8s.io"
    );
    let versions = body["items"][0]["versions"].as_array().unwrap();
    let names: Vec<_> = versions
        .iter()
        .map(|it| it["version"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["v1beta2", "v1beta1"]);
    assert_eq!(
        versions[0]["resources"][0]["subresources"]
            .as_array()
            .unwrap()
            .len(),
        METRICS.len()
    );
    let external = &body["items"][1]["versions"][0]["resources"];
    assert_eq!(external[0]["resource"], METRICS[0].name);
    let etag = headers["etag"].to_str().unwrap();
    let again = [("accept", accept.as_str()), ("if-none-match", etag)];
    let (status, _, body) = jane.ask("GET", "/apis", &again).await;
    assert_eq!((status, body.as_str()), (304, ""));
}

#[tokio::test]
async fn health_is_open_and_readiness_waits_for_the_objects() {
    let world = World::new(limits());
    let front = Front::start(&world).await;
    let nobody = front.caller(None);
    for path in ["/healthz", "/livez"] {
        assert_eq!(nobody.ask("GET", path, &[]).await.0, 200);
    }
    let (status, _, body) = nobody.ask("GET", "/readyz", &[]).await;
    assert_eq!(status, 503);
    assert!(
        body.contains("pods") && body.contains("statefulsets.apps"),
        "{body}"
    );
    let path = "/namespaces/shop/pods/web-0/go_goroutines";
    assert_eq!(
        front.jane().values(path).await,
        Err(503),
        "not yet is not absent"
    );

    let world = World::new(limits()).listed(&[]);
    let front = Front::start(&world).await;
    assert_eq!(front.caller(None).ask("GET", "/readyz", &[]).await.0, 200);
    front
        .server
        .draining
        .store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(front.caller(None).ask("GET", "/readyz", &[]).await.0, 503);
}

#[tokio::test]
async fn the_adapter_tells_of_itself() {
    let (world, mut nodes) = shop().await;
    let jane = Front::start(&world).await.jane();
    nodes.pop().unwrap().stop().await;
    jane.values("/namespaces/shop/pods/*/go_goroutines")
        .await
        .unwrap();
    let (status, headers, text) = jane.ask("GET", "/metrics", &[]).await;
    assert_eq!(status, 200);
    assert!(
        headers["content-type"]
            .to_str()
            .unwrap()
            .contains("openmetrics")
    );
    for line in [
        "observer_adapter_requests_total{route=\"values\",code=\"200\"} 1",
        "observer_adapter_node_requests_total{result=\"success\"} 1",
        "observer_adapter_node_requests_total{result=\"failure\"} 1",
        "observer_adapter_nodes_unreachable 1",
        "observer_adapter_value_age_seconds_count 2",
        "observer_adapter_request_seconds_count 1",
        "observer_adapter_authorizations_total{result=\"positive\"} 2",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
