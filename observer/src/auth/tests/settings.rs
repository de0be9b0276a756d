//! What is wrong with files is said before anything starts.

use std::fs;

use super::{Authority, Files, HOUR};
use crate::auth::{CertificateFiles, Security, SecuritySettings, review::Limits};

fn refused(settings: &SecuritySettings) -> String {
    match Security::new(settings, None, [], Limits::default()) {
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
        let security = Security::new(&settings, None, [], Limits::default()).unwrap();
        assert!(security.tls.is_none() && security.guard.is_none());
        assert_eq!(security.describe(), "plain HTTP, to everybody");
    }
}
