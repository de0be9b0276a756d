//! What is wrong with files is said before anything starts.

use std::fs;

use super::{Authority, Files, HOUR};
use crate::auth::{CertificateFiles, Security, SecuritySettings, review::AnswerCacheLimits};

fn refused(settings: &SecuritySettings) -> String {
    match Security::new(settings, None, [], AnswerCacheLimits::default()) {
        Ok(_) => panic!("taken: {settings:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn bad_files_are_named_with_what_was_expected() {
    let authority = Authority::new("ours");
    let [pair, other] = [(); 2].map(|()| authority.server(24 * HOUR));
    for (certificate, key, expected) in [
        ("", pair.key.as_str(), "tls.crt has no usable certificate"),
        (&pair.key, &pair.key, "tls.crt has no usable certificate"),
        (&pair.certificate, "", "tls.key has no usable private key"),
        (
            &pair.certificate,
            &pair.certificate,
            "tls.key has no usable private key",
        ),
        (
            &pair.certificate,
            &other.key,
            "does not belong to the certificate",
        ),
    ] {
        let files = Files::new(&pair);
        fs::write(files.path("tls.crt"), certificate).unwrap();
        fs::write(files.path("tls.key"), key).unwrap();
        let error = refused(&files.settings());
        assert!(error.contains(expected), "{error}");
    }
    let files = Files::new(&pair);
    fs::remove_file(files.path("tls.key")).unwrap();
    let error = refused(&files.settings());
    assert!(
        error.contains("tls.key") && error.contains("PEM"),
        "{error}"
    );

    let files = Files::new(&pair);
    for junk in ["", "junk", &pair.key] {
        let error = refused(&files.with_authority(junk));
        assert!(
            error.contains("ca.crt") && error.contains("CERTIFICATE"),
            "{error}"
        );
    }
    // A file that does not end must not be read for good.
    let endless = SecuritySettings {
        certificate: CertificateFiles {
            tls_cert_file: Some("/dev/zero".into()),
            ..files.settings().certificate
        },
        ..files.settings()
    };
    assert!(refused(&endless).contains("longer than"));
}

#[test]
fn nothing_asked_for_is_plain_http() {
    for insecure_http in [false, true] {
        let settings = SecuritySettings {
            insecure_http,
            ..SecuritySettings::default()
        };
        let security = Security::new(&settings, None, [], AnswerCacheLimits::default()).unwrap();
        assert!(security.tls.is_none() && security.guard.is_none());
    }
}

#[test]
fn the_log_says_what_is_served_and_to_whom() {
    let authority = Authority::new("ours");
    let files = Files::new(&authority.server(24 * HOUR));
    let to_the_allowed = "TLS, to callers who are known and allowed";
    for (settings, here, elsewhere) in [
        (
            SecuritySettings::default(),
            "plain HTTP, to everybody on this machine",
            "plain HTTP, to everybody",
        ),
        (
            files.settings(),
            "TLS, to everybody on this machine",
            "TLS, to everybody",
        ),
        (
            files.with_authority(&authority.pem),
            to_the_allowed,
            to_the_allowed,
        ),
    ] {
        let security = Security::new(&settings, None, [], AnswerCacheLimits::default()).unwrap();
        for (addresses, expected) in [
            (&["127.0.0.1:9920", "[::1]:9920"][..], here),
            (&["[::ffff:127.0.0.1]:9920"], here),
            (&["[::]:9920"], elsewhere),
            (&["0.0.0.0:9920"], elsewhere),
            (&["127.0.0.1:9920", "192.0.2.1:9920"], elsewhere),
        ] {
            let parse = |it: &&str| it.parse().expect("an address");
            let addresses: Vec<_> = addresses.iter().map(parse).collect();
            assert_eq!(security.describe(&addresses), expected, "{addresses:?}");
        }
    }
}
