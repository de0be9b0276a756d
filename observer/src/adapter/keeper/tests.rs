//! Certificates kept through the API, of which the server here is the part
//! that stores objects.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use k8s_openapi::ByteString;
use kube::Config;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Keeper, OBSERVERS};
use crate::{
    adapter::{
        api::group::Groups,
        fixtures::{NAMESPACE, World, limits},
        pki::Authority,
    },
    auth::{
        Counters,
        tls::{CertificateSource, ServerTls},
    },
    kube::Connection,
};

const SECRETS: &str = "/api/v1/namespaces/go-observer/secrets";
const SERVICES: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
const V1: &str = "v1beta1.custom.metrics.k8s.io";
const V2: &str = "v1beta2.custom.metrics.k8s.io";

/// Objects by path.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<BTreeMap<String, Value>>>);

impl Store {
    fn object(&self, path: &str, name: &str) -> Value {
        let objects = self.0.lock().unwrap();
        objects
            .get(&format!("{path}/{name}"))
            .cloned()
            .unwrap_or(Value::Null)
    }

    fn put(&self, path: &str, name: &str, object: Value) {
        let mut objects = self.0.lock().unwrap();
        objects.insert(format!("{path}/{name}"), object);
    }

    fn api_service(&self, name: &str, service: &str) {
        let service = json!({"namespace": NAMESPACE, "name": service});
        let spec = json!({"service": service, "groupPriorityMinimum": 1, "versionPriority": 1});
        let object = json!({"metadata": {"name": name}, "spec": spec});
        self.put(SERVICES, name, object);
    }

    async fn connection(&self) -> Connection {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async { axum::serve(listener, router).await });
        Connection::new(Config::new(uri.parse().unwrap())).unwrap()
    }
}

async fn answer(State(store): State<Store>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let given: Value = serde_json::from_slice(&body).unwrap_or_default();
    let refused = |code: StatusCode| {
        let reason = code.canonical_reason().unwrap_or_default().replace(' ', "");
        let status = json!({"kind": "Status", "status": "Failure", "code": code.as_u16(), "reason": reason, "message": "x"});
        (code, Json(status)).into_response()
    };
    let mut objects = store.0.lock().unwrap();
    match parts.method {
        Method::GET => match objects.get(&path) {
            Some(object) => Json(object.clone()).into_response(),
            None => refused(StatusCode::NOT_FOUND),
        },
        Method::POST => {
            let path = format!("{path}/{}", given["metadata"]["name"].as_str().unwrap());
            if objects.contains_key(&path) {
                return refused(StatusCode::CONFLICT);
            }
            objects.insert(path, given.clone());
            (StatusCode::CREATED, Json(given)).into_response()
        }
        Method::PATCH => match objects.get_mut(&path) {
            Some(object) => {
                merge(object, given);
                Json(object.clone()).into_response()
            }
            None => refused(StatusCode::NOT_FOUND),
        },
        _ => refused(StatusCode::METHOD_NOT_ALLOWED),
    }
}

fn merge(object: &mut Value, patch: Value) {
    match (object, patch) {
        (Value::Object(object), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(object.entry(key).or_insert(Value::Null), value);
            }
        }
        (_, Value::Null) => {}
        (object, patch) => *object = patch,
    }
}

fn text(value: &Value) -> String {
    let bytes: ByteString = serde_json::from_value(value.clone()).unwrap();
    String::from_utf8(bytes.0).unwrap()
}

struct Replica {
    keeper: Keeper,
    serving: Option<String>,
    tls: ServerTls,
}

impl Replica {
    fn new(connection: Connection, world: &World) -> Self {
        let source = CertificateSource::SelfSigned(vec!["x".to_owned()]);
        let tls = ServerTls::new(source, true, Arc::new(Counters::default())).unwrap();
        let keeper = Keeper {
            connection,
            namespace: NAMESPACE.to_owned(),
            names: vec!["observer-adapter.go-observer.svc".to_owned()],
            api_services: Groups::Both.api_services(),
            serving: Some(tls.replacer()),
            node_ca_file: None,
            nodes: Arc::clone(&world.nodes),
        };
        Self {
            keeper,
            serving: None,
            tls,
        }
    }

    async fn keep(&mut self) {
        self.keeper.keep(&mut self.serving).await.unwrap();
    }
}

#[tokio::test]
async fn replicas_share_one_authority_and_tell_the_aggregator() {
    let store = Store::default();
    store.api_service(V1, "observer-adapter");
    store.api_service(V2, "somebody-else");
    let connection = store.connection().await;
    let world = World::new(limits());
    let mut one = Replica::new(connection.clone(), &world);
    let mut two = Replica::new(connection, &world);
    let before = one.tls.certificate();
    tokio::join!(one.keep(), two.keep());

    let authority = store.object(SECRETS, super::AUTHORITY);
    let authority = text(&authority["data"]["tls.crt"]);
    assert_eq!(
        text(&store.object(SERVICES, V1)["spec"]["caBundle"]),
        authority
    );
    assert_eq!(store.object(SERVICES, V2)["spec"]["caBundle"], Value::Null);
    assert_ne!(one.tls.certificate(), before);
    let shown = one.serving.clone();
    one.keep().await;
    assert_eq!(one.serving, shown, "not another one each time");
    let known =
        Authority::of(super::pair(super::AUTHORITY, &secret(&store, super::AUTHORITY)).unwrap());
    let known = known.unwrap();
    let now = std::time::SystemTime::now();
    for replica in [&one, &two] {
        assert!(!known.is_due(replica.serving.as_ref().unwrap(), now));
    }
    let observers = store.object(SECRETS, OBSERVERS);
    assert_eq!(text(&observers["data"]["ca.crt"]), authority);
    assert!(!known.is_due(&text(&observers["data"]["tls.crt"]), now));

    // Somebody took the bundle away; and the authority was deleted on purpose.
    store.api_service(V1, "observer-adapter");
    store
        .0
        .lock()
        .unwrap()
        .remove(&format!("{SECRETS}/{}", super::AUTHORITY));
    one.keep().await;
    let next = text(&store.object(SECRETS, super::AUTHORITY)["data"]["tls.crt"]);
    assert_ne!(next, authority);
    assert_eq!(text(&store.object(SERVICES, V1)["spec"]["caBundle"]), next);
    assert_ne!(one.serving, shown);
    let ca = text(&store.object(SECRETS, OBSERVERS)["data"]["ca.crt"]);
    assert!(
        ca.contains(&next) && ca.contains(&authority),
        "observers that have not read theirs yet"
    );
}

fn secret(store: &Store, name: &str) -> k8s_openapi::api::core::v1::Secret {
    serde_json::from_value(store.object(SECRETS, name)).unwrap()
}

#[tokio::test]
async fn a_certificate_of_somebody_else_is_left_alone() {
    let store = Store::default();
    let world = World::new(limits());
    let theirs = Authority::new().unwrap();
    let pair = theirs
        .issue(&["observer.go-observer.svc".to_owned()])
        .unwrap();
    let mut given = secret_of(&pair, &theirs.pair().certificate);
    store.put(SECRETS, OBSERVERS, given.clone());
    let mut replica = Replica::new(store.connection().await, &world);
    replica.keep().await;
    assert_eq!(store.object(SECRETS, OBSERVERS), given);
    // Without an authority nobody can be verified, and that is said.
    given["data"].as_object_mut().unwrap().remove("ca.crt");
    store.put(SECRETS, OBSERVERS, given);
    let error = replica.keeper.keep(&mut replica.serving).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("go-observer-node-tls has no usable ca.crt"),
        "{error}"
    );
}

fn secret_of(pair: &crate::adapter::pki::Pair, ca: &str) -> Value {
    let bytes = |text: &str| serde_json::to_value(ByteString(text.as_bytes().to_vec())).unwrap();
    json!({
        "metadata": {"name": OBSERVERS},
        "data": {"tls.crt": bytes(&pair.certificate), "tls.key": bytes(&pair.key), "ca.crt": bytes(ca)},
    })
}

#[tokio::test]
async fn where_files_hold_everything_nothing_is_asked_of_the_cluster() {
    let store = Store::default();
    let world = World::new(limits());
    let mut replica = Replica::new(store.connection().await, &world);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "no certificate").unwrap();
    replica.keeper.serving = None;
    replica.keeper.node_ca_file = Some(file.path().to_owned());
    let error = replica.keeper.keep(&mut None).await.unwrap_err();
    assert!(error.to_string().contains("not usable"), "{error}");
    let pem = Authority::new().unwrap().pair().certificate.clone();
    std::fs::write(file.path(), pem).unwrap();
    replica.keep().await;
    assert!(store.0.lock().unwrap().is_empty());
}
