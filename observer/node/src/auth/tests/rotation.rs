//! Certificates that change while connections go on.

use std::fs;

use super::{Authority, Files, HOUR, Server, chain, security, swap, until};
use crate::auth::{CertificateFiles, SecuritySettings};

#[tokio::test]
async fn a_new_pair_is_shown_and_connections_stay() {
    let authority = Authority::new("ours");
    let [first, second, third] = [(); 3].map(|()| authority.server(24 * HOUR));
    let files = Files::new(&first);
    let security = security(&files.settings());
    let reader = security.reader();
    let server = Server::start(security).await;
    let mut kept = server.connect(&authority.pem, None).await;
    assert_eq!(kept.get("/metrics").await.0, 200);
    let shown = async || server.connect(&authority.pem, None).await.certificate();
    let failures = || reader.read().tls.unwrap().1.certificate_reloads;

    files.put(&second);
    let expected = chain(&second.certificate).remove(0);
    until(async || shown().await == expected).await;

    // A key of another pair, junk, an expired pair and no file are not taken.
    let expired = authority.server(HOUR);
    let bad = [
        (third.certificate.as_str(), second.key.as_str()),
        ("junk", "junk"),
        (&expired.certificate, &expired.key),
    ];
    for (certificate, key) in bad {
        let before = failures();
        fs::write(files.path("tls.crt"), certificate).unwrap();
        fs::write(files.path("tls.key"), key).unwrap();
        until(async || failures() > before).await;
        assert_eq!(shown().await, expected);
    }
    let before = failures();
    fs::remove_file(files.path("tls.key")).unwrap();
    until(async || failures() > before).await;
    let before = failures();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(failures(), before, "the same failure counts once");

    files.put(&third);
    let expected = chain(&third.certificate).remove(0);
    until(async || shown().await == expected).await;
    let (status, text) = kept.get("/metrics").await;
    assert_eq!(status, 200);
    assert!(text.contains("observer_tls_reload_failures_total{what=\"certificate\"}"));
}

#[tokio::test]
async fn a_mounted_secret_is_swapped_as_a_whole() {
    let authority = Authority::new("ours");
    let [first, second] = [(); 2].map(|()| authority.server(24 * HOUR));
    let mount = tempfile::TempDir::new().unwrap();
    for (version, pair) in [("..1", &first), ("..2", &second)] {
        let directory = mount.path().join(version);
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("tls.crt"), &pair.certificate).unwrap();
        fs::write(directory.join("tls.key"), &pair.key).unwrap();
    }
    let data = mount.path().join("..data");
    swap(&data, "..1");
    let security = security(&SecuritySettings {
        certificate: CertificateFiles {
            tls_cert_file: Some(data.join("tls.crt")),
            tls_key_file: Some(data.join("tls.key")),
        },
        ..SecuritySettings::default()
    });
    let reader = security.reader();
    let server = Server::start(security).await;
    swap(&data, "..2");
    let expected = chain(&second.certificate).remove(0);
    until(async || server.connect(&authority.pem, None).await.certificate() == expected).await;
    assert_eq!(reader.read().tls.unwrap().1.certificate_reloads, 0);
}

#[tokio::test]
async fn authorities_change_for_open_connections_too() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let files = Files::new(&old.server(24 * HOUR));
    let security = security(&files.with_authority(&old.pem));
    let reader = security.reader();
    let server = Server::start(security).await;
    let of_old = old.client("jane", &[], 24 * HOUR);
    let of_new = new.client("jane", &[], 24 * HOUR);
    let mut kept = server.connect(&old.pem, Some(&of_old)).await;
    let mut early = server.connect(&old.pem, Some(&of_new)).await;
    assert_eq!(kept.get("/metrics").await.0, 200);
    assert_eq!(early.get("/metrics").await.0, 401);

    fs::write(files.path("ca.crt"), "junk").unwrap();
    until(async || reader.read().tls.unwrap().1.authority_reloads == 1).await;
    assert_eq!(
        kept.get("/metrics").await.0,
        200,
        "bad authorities change nothing"
    );

    fs::write(files.path("ca.crt"), &new.pem).unwrap();
    until(async || kept.get("/metrics").await.0 == 401).await;
    assert_eq!(early.get("/metrics").await.0, 200);
}
