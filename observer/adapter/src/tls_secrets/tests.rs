//! Certificates kept through the API, of which the server here is the part
//! that stores objects.

use std::sync::Arc;

use k8s_openapi::ByteString;
use observer_node::{
    auth::{
        Counters,
        tls::{CertificateSource, ServerTls},
    },
    kube::Connection,
};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{OBSERVERS, TlsSecrets};
use crate::{
    fixtures::{NAMESPACE, Store, World, limits},
    pki::Authority,
};

const SECRETS: &str = "/api/v1/namespaces/go-observer/secrets";

fn text(value: &Value) -> String {
    let bytes: ByteString = serde_json::from_value(value.clone()).unwrap();
    String::from_utf8(bytes.0).unwrap()
}

struct Replica {
    keeper: TlsSecrets,
    serving: Option<String>,
    /// Of the authority.
    told: watch::Receiver<Option<String>>,
    tls: ServerTls,
}

impl Replica {
    fn new(connection: Connection, world: &World) -> Self {
        let source = CertificateSource::SelfSigned(vec!["x".to_owned()]);
        let tls = ServerTls::new(source, true, Arc::new(Counters::default())).unwrap();
        let (authority, told) = watch::channel(None);
        let keeper = TlsSecrets {
            connection,
            namespace: NAMESPACE.to_owned(),
            names: vec!["observer-adapter.go-observer.svc".to_owned()],
            serving: Some(tls.replacer()),
            authority,
            node_ca_file: None,
            nodes: Arc::clone(&world.nodes),
        };
        Self {
            keeper,
            serving: None,
            told,
            tls,
        }
    }

    async fn keep(&mut self) {
        self.keeper.keep(&mut self.serving).await.unwrap();
    }
}

#[tokio::test]
async fn replicas_share_one_authority_and_tell_of_it() {
    let store = Store::default();
    let connection = store.connection().await;
    let world = World::new(limits());
    let mut one = Replica::new(connection.clone(), &world);
    let mut two = Replica::new(connection, &world);
    let before = one.tls.certificate();
    tokio::join!(one.keep(), two.keep());

    let authority = store.object(SECRETS, super::AUTHORITY);
    let authority = text(&authority["data"]["tls.crt"]);
    for replica in [&one, &two] {
        assert_eq!(replica.told.borrow().as_ref(), Some(&authority));
    }
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

    // The authority was deleted on purpose.
    assert!(one.told.has_changed().unwrap());
    one.told.mark_unchanged();
    one.keep().await;
    assert!(!one.told.has_changed().unwrap());
    store
        .0
        .lock()
        .unwrap()
        .remove(&format!("{SECRETS}/{}", super::AUTHORITY));
    one.keep().await;
    let next = text(&store.object(SECRETS, super::AUTHORITY)["data"]["tls.crt"]);
    assert_ne!(next, authority);
    assert_eq!(one.told.borrow().as_ref(), Some(&next));
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

fn secret_of(pair: &crate::pki::PemPair, ca: &str) -> Value {
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
