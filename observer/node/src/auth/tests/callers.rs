//! Who is let in by client certificate.

use std::time::SystemTime;

use super::{Authority, Files, HOUR, Server, chain, security};
use crate::auth::{ClientAuthority, SecuritySettings};

#[tokio::test]
async fn a_certificate_of_the_authority_lets_in_and_no_other() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let files = Files::new(&ours.server(24 * HOUR));
    let security = security(&files.with_authority(&ours.pem));
    let reader = security.reader();
    let server = Server::start(security).await;
    let good = ours.client("jane", &["dev"], 24 * HOUR);
    let (status, _) = server
        .connect(&ours.pem, Some(&good))
        .await
        .get("/metrics")
        .await;
    assert_eq!(status, 200);

    let expired = ours.client("jane", &["dev"], HOUR);
    let stranger = other.client("jane", &["dev"], 24 * HOUR);
    let nobody = ours.client("system:anonymous", &[], 24 * HOUR);
    for (client, expected) in [
        (None, "a client certificate is needed"),
        (Some(&expired), "xpired"),
        (Some(&stranger), "UnknownIssuer"),
        (Some(&nobody), "no common name that is a user"),
    ] {
        let mut client = server.connect(&ours.pem, client).await;
        for path in [
            "/metrics",
            "/api/v1/processes",
            "/api/v1/containers",
            "/api/v1/events",
            "/nowhere",
        ] {
            let (status, text) = client.get(path).await;
            assert_eq!(status, 401, "{path}: {text}");
            assert!(text.contains(expected), "{path}: {text}");
            assert!(text.to_lowercase().contains("www-authenticate: bearer"));
        }
        for path in ["/healthz", "/readyz", "/", "/page/app.js"] {
            assert_eq!(client.get(path).await.0, 200, "{path}");
        }
    }
    let mut client = server.connect(&ours.pem, Some(&good)).await;
    let (_, text) = client.get("/metrics").await;
    assert!(
        text.contains("observer_tls_certificate_expiry_timestamp_seconds "),
        "{text}"
    );
    let decisions = reader.read().guarded.unwrap();
    assert_eq!(decisions.authentications.negative, 20);
    assert_eq!(decisions.authentications.positive, 2);
    assert_eq!(decisions.authorizations.positive, 2);
}

#[test]
fn an_authority_that_has_ended_counts_no_more() {
    let ended = Authority::until("ended", SystemTime::now() - HOUR);
    let next = Authority::new("next");
    let both = format!("{}{}", ended.pem, next.pem);
    let known = ClientAuthority::from_pem(both.as_bytes()).unwrap();
    let user = |authority: &Authority| {
        let pem = authority.client("jane", &[], 24 * HOUR);
        known.user(&chain(&pem.certificate)).map(|user| user.name)
    };
    assert!(user(&ended).is_err());
    assert_eq!(user(&next).as_deref(), Ok("jane"));
    let alone = ClientAuthority::from_pem(ended.pem.as_bytes()).unwrap();
    let pem = ended.client("jane", &[], 24 * HOUR);
    let refusal = alone.user(&chain(&pem.certificate)).unwrap_err();
    assert!(refusal.contains("no authority holds now"), "{refusal}");
}

#[test]
fn a_certificate_names_the_user_and_its_groups() {
    let authority = Authority::new("ours");
    let known = ClientAuthority::from_pem(authority.pem.as_bytes()).unwrap();
    let pem = authority.client("jane", &["dev", "ops"], 24 * HOUR);
    let user = known.user(&chain(&pem.certificate)).unwrap();
    assert_eq!(user.name, "jane");
    assert_eq!(user.groups, ["dev", "ops", "system:authenticated"]);
    let serving = authority.server(24 * HOUR);
    assert!(
        known.user(&chain(&serving.certificate)).is_err(),
        "not issued for a client"
    );
}

#[tokio::test]
async fn without_files_the_certificate_is_our_own() {
    let authority = Authority::new("ours");
    let files = Files::new(&authority.server(24 * HOUR));
    let settings = SecuritySettings {
        client_ca_file: files.with_authority(&authority.pem).client_ca_file,
        ..SecuritySettings::default()
    };
    let security = security(&settings);
    let own = security.tls.as_ref().unwrap().certificate().unwrap();
    let server = Server::start(security).await;
    let good = authority.client("jane", &[], 24 * HOUR);
    // Whoever knows the certificate can verify it, by its address too.
    let mut client = server.trusting(vec![own], Some(&good)).await.unwrap();
    assert_eq!(client.get("/metrics").await.0, 200);
    assert!(
        server
            .trusting(chain(&authority.pem), Some(&good))
            .await
            .is_err()
    );
}
