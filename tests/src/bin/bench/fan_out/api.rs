//! An API server that only tells what there is, from memory, and lets everybody
//! do everything; in a process of its own, so that neither adapter bears it.

use std::{
    env,
    fmt::Write as _,
    io::{BufRead, BufReader, Write as _},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Request, State},
    http::{Method, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Runtime};

use super::nodes::address;

/// Says that this process is the API server, and of how many nodes and pods.
pub(super) const ASKED: &str = "OBSERVER_BENCH_API";

/// The process; it ends when this is dropped.
pub(super) struct Api {
    child: Child,
    port: u16,
}

impl Api {
    /// Of so many nodes, with so many pods each.
    pub(super) fn start(nodes: usize, pods: usize) -> Self {
        let mut child = Command::new(env::current_exe().expect("this program"))
            .env(ASKED, format!("{nodes} {pods}"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("the API server");
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        output.read_line(&mut line).expect("a line");
        let port = line.trim().parse().expect("a port");
        Self { child, port }
    }

    /// A configuration that leads to it.
    pub(super) fn kubeconfig(&self) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{}'}}}}]\n\
             users: [{{name: u, user: {{token: t}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n",
            self.port
        )
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

struct Objects {
    /// Each as JSON.
    pods: Vec<String>,
    nodes: Vec<String>,
    /// The list of all pods of the namespace, in one.
    shop: Vec<u8>,
}

/// As long as pods are, though not all of their fields.
fn pod(namespace: &str, name: &str, node: usize, ip: &str) -> String {
    let environment: Vec<_> = (0..20)
        .map(|n| json!({"name": format!("SETTING_{n}"), "value": "some value of a setting"}))
        .collect();
    let app = if namespace == "shop" {
        "web"
    } else {
        "observer"
    };
    let status = json!({"name": "app", "ready": true, "restartCount": 0, "image": "registry.example/shop/web:1", "imageID": "", "containerID": format!("containerd://{name}")});
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": namespace,
            "name": name,
            "uid": name.replace("pod-", "uid-"),
            "resourceVersion": "1",
            "labels": {"app": app, "app.kubernetes.io/name": app, "pod-template-hash": "5d4c9b6f7"},
        },
        "spec": {
            "nodeName": format!("node-{node}"),
            "containers": [{"name": "app", "image": "registry.example/shop/web:1", "env": environment}],
        },
        "status": {"phase": "Running", "podIP": ip, "containerStatuses": [status]},
    })
    .to_string()
}

fn list<'a>(kind: &str, items: impl Iterator<Item = &'a String>, next: &str) -> String {
    let mut text = format!(
        r#"{{"apiVersion":"v1","kind":"{kind}","metadata":{{"resourceVersion":"1","continue":"{next}"}},"items":["#
    );
    for (n, item) in items.enumerate() {
        let comma = if n > 0 { "," } else { "" };
        // Writing to a String does not fail.
        let _ = write!(text, "{comma}{item}");
    }
    text.push_str("]}");
    text
}

/// What the process does, by what [`ASKED`] says.
pub(super) fn serve(size: &str) {
    let (nodes, pods) = size.split_once(' ').expect("two numbers");
    let nodes: usize = nodes.parse().expect("a number of nodes");
    let pods: usize = pods.parse().expect("a number of pods");
    let shop: Vec<String> = (0..nodes)
        .flat_map(|node| (0..pods).map(move |n| (node, format!("pod-{node}-{n}"))))
        .map(|(node, name)| pod("shop", &name, node, "10.0.0.1"))
        .collect();
    let all = (0..nodes).map(|node| {
        let name = format!("observer-{node}");
        pod("go-observer", &name, node, &address(node).to_string())
    });
    let of_shop = list("PodList", shop.iter(), "").into_bytes();
    let named = |node| {
        let metadata = json!({"name": format!("node-{node}")});
        json!({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {}}).to_string()
    };
    let objects = Arc::new(Objects {
        pods: all.chain(shop.iter().cloned()).collect(),
        nodes: (0..nodes).map(named).collect(),
        shop: of_shop,
    });
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address").port());
        std::io::stdout().flush().expect("standard output");
        let router = Router::new().fallback(answer).with_state(objects);
        axum::serve(listener, router).await.expect("served");
    });
}

fn text(body: impl Into<Body>) -> Response {
    ([(CONTENT_TYPE, "application/json")], body.into()).into_response()
}

async fn answer(State(objects): State<Arc<Objects>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let path = parts.uri.path();
    if parts.method == Method::POST {
        let body = axum::body::to_bytes(body, 1 << 20).await;
        let review = serde_json::from_slice(&body.unwrap_or_default());
        return allowed(review.unwrap_or_default());
    }
    if query.contains("watch=") {
        // Nothing ever changes.
        return text(Body::from_stream(stream::pending::<
            Result<Vec<u8>, std::io::Error>,
        >()));
    }
    match path {
        "/api" => text(json!({"kind": "APIVersions", "versions": ["v1"]}).to_string()),
        "/apis" => text(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []}).to_string()),
        "/api/v1" => text(
            json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "v1", "resources": [
                {"name": "pods", "singularName": "pod", "namespaced": true, "kind": "Pod", "verbs": ["get", "list", "watch"]},
            ]})
            .to_string(),
        ),
        "/api/v1/namespaces/shop/pods" => text(objects.shop.clone()),
        "/api/v1/pods" => text(page("PodList", &objects.pods, &query)),
        "/api/v1/nodes" => text(page("NodeList", &objects.nodes, &query)),
        path => {
            let kind = match path.rsplit('/').next() {
                Some("deployments") => "DeploymentList",
                Some("statefulsets") => "StatefulSetList",
                Some("replicasets") => "ReplicaSetList",
                Some("daemonsets") => "DaemonSetList",
                _ => "List",
            };
            text(list(kind, std::iter::empty(), ""))
        }
    }
}

/// So many as are asked for, from where the page before ended.
fn page(kind: &str, all: &[String], query: &str) -> String {
    let number = |name: &str| {
        let mut parts = query.split('&').filter_map(|part| part.split_once('='));
        let (_, value) = parts.find(|(key, _)| *key == name)?;
        value.parse::<usize>().ok()
    };
    let from = number("continue").unwrap_or(0).min(all.len());
    let limit = number("limit").filter(|limit| *limit > 0);
    let to = limit.map_or(all.len(), |limit| (from + limit).min(all.len()));
    let next = if to < all.len() {
        to.to_string()
    } else {
        String::new()
    };
    list(kind, all[from..to].iter(), &next)
}

/// Whoever asks is known and may everything.
fn allowed(mut review: Value) -> Response {
    let user = json!({"username": "bench", "groups": ["system:masters", "system:authenticated"]});
    review["status"] = json!({"authenticated": true, "user": user, "allowed": true});
    Json(review).into_response()
}
