//! Who is who, over TLS: proxies, certificates, and those who pretend.

use std::{sync::PoisonError, time::Duration};

use crate::fixtures::{Front, World, limits, trust};

const DAY: Duration = Duration::from_hours(24);
const PATH: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/go_goroutines";
const JANE: [(&str, &str); 6] = [
    ("X-Remote-User", "jane"),
    ("X-Remote-Uid", "42"),
    ("X-Remote-Group", "dev"),
    ("X-Remote-Group", "ops"),
    ("X-Remote-Extra-Scopes%2fAll", "a"),
    ("X-Remote-Extra-scopes%2Fall", "b"),
];

async fn front() -> Front {
    Front::start(&World::new(limits()).listed(&[])).await
}

#[tokio::test]
async fn the_proxy_names_the_user_and_the_right_is_asked_for() {
    let front = front().await;
    let proxy = front.caller(Some(&front.proxies.client("front-proxy-client", &[], DAY)));
    assert_eq!(proxy.ask("GET", PATH, &JANE).await.0, 200);
    // Kept for ten seconds.
    assert_eq!(proxy.ask("GET", PATH, &JANE).await.0, 200);
    let asked = front
        .reviews
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    assert_eq!(asked.len(), 1);
    let spec = &asked[0];
    assert_eq!(spec.user.as_deref(), Some("jane"));
    assert_eq!(spec.uid.as_deref(), Some("42"));
    assert_eq!(
        spec.groups.as_deref().unwrap(),
        ["dev", "ops", "system:authenticated"]
    );
    let extra = spec.extra.as_ref().unwrap();
    assert_eq!(extra["scopes/all"], ["a", "b"]);
    assert_eq!(extra.len(), 1);
    let resource = spec.resource_attributes.as_ref().unwrap();
    let named = |text: &Option<String>| text.clone().unwrap_or_default();
    assert_eq!(
        [
            &resource.verb,
            &resource.group,
            &resource.namespace,
            &resource.resource,
            &resource.name,
            &resource.subresource
        ]
        .map(named),
        [
            "get",
            "custom.metrics.k8s.io",
            "shop",
            "pods",
            "*",
            "go_goroutines"
        ]
    );

    let paul = [("X-Remote-User", "paul"), ("X-Remote-Group", "dev")];
    let (status, _, body) = proxy.ask("GET", PATH, &paul).await;
    assert_eq!(status, 403);
    assert!(
        body.contains("\"Forbidden\"") && body.contains("paul"),
        "{body}"
    );
    let master = [
        ("X-Remote-User", "root"),
        ("X-Remote-Group", "system:masters"),
    ];
    assert_eq!(proxy.ask("GET", PATH, &master).await.0, 200);
    let nobody = [
        ("X-Remote-User", "system:anonymous"),
        ("X-Remote-Group", "system:unauthenticated"),
    ];
    assert_eq!(proxy.ask("GET", PATH, &nobody).await.0, 403);
    let asked = front
        .reviews
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let groups = asked.last().unwrap().groups.clone().unwrap();
    assert_eq!(groups, ["system:unauthenticated"]);
}

#[tokio::test]
async fn identity_headers_count_only_with_the_proxys_certificate() {
    let front = front().await;
    let other = observer_node::fixtures::Authority::new("other");
    for (who, certificate) in [
        ("nobody", None),
        ("a wrong name", Some(front.proxies.client("jane", &[], DAY))),
        (
            "a wrong authority",
            Some(other.client("front-proxy-client", &[], DAY)),
        ),
        (
            "an expired one",
            Some(
                front
                    .proxies
                    .client("front-proxy-client", &[], Duration::from_hours(1)),
            ),
        ),
        (
            "a client's authority",
            Some(front.clients.client("front-proxy-client", &[], DAY)),
        ),
    ] {
        let caller = front.caller(certificate.as_ref());
        let (status, _, body) = caller.ask("GET", PATH, &JANE).await;
        assert_eq!(status, 403, "{who}: {body}");
        let masters = [
            ("X-Remote-User", "jane"),
            ("X-Remote-Group", "system:masters"),
        ];
        assert_eq!(caller.ask("GET", PATH, &masters).await.0, 403, "{who}");
    }
    let asked = front
        .reviews
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    assert!(
        asked
            .iter()
            .all(|spec| spec.user.as_deref() != Some("jane"))
    );
}

#[tokio::test]
async fn a_client_certificate_is_its_own_user_whatever_headers_say() {
    let front = front().await;
    let paul = front.caller(Some(&front.clients.client("paul", &["dev"], DAY)));
    assert_eq!(paul.ask("GET", PATH, &JANE).await.0, 403);
    assert_eq!(front.jane().ask("GET", PATH, &[]).await.0, 200);
    let root = front.clients.client("root", &["system:masters"], DAY);
    assert_eq!(front.caller(Some(&root)).ask("GET", PATH, &[]).await.0, 200);
}

#[tokio::test]
async fn authorities_rotate_while_connections_stay() {
    let front = front().await;
    let old = front.caller(Some(&front.proxies.client("front-proxy-client", &[], DAY)));
    assert_eq!(old.ask("GET", PATH, &JANE).await.0, 200);
    let next = observer_node::fixtures::Authority::new("next");
    let new = front.caller(Some(&next.client("front-proxy-client", &[], DAY)));
    assert_eq!(new.ask("GET", PATH, &JANE).await.0, 403);

    let rotate = |proxies: &str| {
        front
            .server
            .front
            .replace(&trust(proxies, &front.clients.pem))
    };
    rotate(&format!("{}{}", front.proxies.pem, next.pem)).unwrap();
    assert_eq!(old.ask("GET", PATH, &JANE).await.0, 200);
    assert_eq!(new.ask("GET", PATH, &JANE).await.0, 200);
    rotate(&next.pem).unwrap();
    assert_eq!(old.ask("GET", PATH, &JANE).await.0, 403);
    assert_eq!(new.ask("GET", PATH, &JANE).await.0, 200);
    // What is not usable changes nothing.
    assert!(rotate("no certificate").is_err());
    assert_eq!(new.ask("GET", PATH, &JANE).await.0, 200);
}
