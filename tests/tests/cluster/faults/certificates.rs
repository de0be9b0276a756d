//! Certificates of the Secret go-observer-node-tls change and expire.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant, SystemTime},
};

use observer_tests::{
    cluster::{
        Cluster, NAMESPACE, Namespace, Observer, SOON, now, turn, variant::Variant,
        witness::Witness,
    },
    wait,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::json;
use tempfile::TempDir;

use super::{NODE, tell};

/// The pod that is given the Secret.
const NAME: &str = "observer-tls";
const SECRET: &str = "go-observer-node-tls";
const HOST: &str = "observer.go-observer.svc";
const EXPIRY: &str = "observer_tls_certificate_expiry_timestamp_seconds";
/// What curl ends with where the server's certificate does not hold.
const NOT_VERIFIED: Option<i32> = Some(60);
const HOUR: Duration = Duration::from_hours(1);

/// Issues certificates, and knows who is shown them.
struct Authority<'a> {
    cluster: &'a Cluster,
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

impl<'a> Authority<'a> {
    fn create(cluster: &'a Cluster) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        // Alike names would make each certificate look signed by itself.
        let name = "observer's authority in tests";
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let directory = TempDir::new().expect("a folder");
        fs::write(directory.path().join("ca.crt"), issuer.pem()).expect("its certificate");
        Self {
            cluster,
            issuer,
            directory,
        }
    }

    /// Puts a certificate that ends at this instant into the Secret, and has
    /// the kubelet look at once instead of within its minute.
    fn issue(&self, ends: SystemTime) {
        let mut params = CertificateParams::new(vec![HOST.to_owned()]).expect("parameters");
        params.not_before = (SystemTime::now() - 2 * HOUR).into();
        params.not_after = ends.into();
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        self.cluster.apply(&json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": SECRET, "namespace": NAMESPACE },
            "stringData": {
                "tls.crt": certificate.pem(),
                "tls.key": key.serialize_pem(),
                "ca.crt": self.issuer.pem(),
            },
        }));
        let look = format!("go-observer.test/look={}", now());
        let args = ["annotate", "pod", NAME, &look, "--overwrite"];
        // There is none when the first is issued.
        let _ = self
            .cluster
            .try_kubectl(&[args.as_slice(), &["--namespace", NAMESPACE]].concat());
    }

    /// How a client that verifies fares at the open `/healthz`: curl's own end.
    fn verify(&self, observer: &Observer) -> Option<i32> {
        let address = observer.address.rsplit_once(':').expect("a port").0;
        let mut command = Command::new("curl");
        command
            .args([
                "--silent",
                "--fail",
                "--max-time",
                "10",
                "--output",
                "/dev/null",
                "--cacert",
            ])
            .arg(self.directory.path().join("ca.crt"))
            .args(["--resolve", &format!("{HOST}:9920:{address}")])
            .arg(format!("https://{HOST}:9920/healthz"));
        command.status().expect("curl").code()
    }
}

/// Deletes the Secret when dropped.
struct Secret<'a>(&'a Cluster);

impl Drop for Secret<'_> {
    fn drop(&mut self) {
        let args = ["delete", "secret", SECRET, "--namespace", NAMESPACE];
        let _ = self.0.try_kubectl(&args);
    }
}

fn expiry(observer: &Observer) -> f64 {
    observer.metrics().value(EXPIRY, &[]).expect("an expiry")
}

fn seconds(at: SystemTime) -> f64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    since.expect("after 1970").as_secs() as f64
}

/// Waits until the certificate that ends then is shown; no client may fail.
fn await_shown(authority: &Authority<'_>, observer: &Observer, ends: SystemTime) -> Duration {
    let begin = Instant::now();
    wait::until("the new certificate", SOON, || {
        assert_eq!(authority.verify(observer), Some(0), "while it changes");
        ((expiry(observer) - seconds(ends)).abs() < 0.5).then_some(())
    });
    begin.elapsed()
}

#[test]
fn certificates_change_without_a_restart_and_expired_ones_are_replaced() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    let namespace = Namespace::create(&cluster, "certificates");
    let authority = Authority::create(&cluster);
    let first = SystemTime::now() + 2 * HOUR;
    let _secret = Secret(&cluster);
    authority.issue(first);
    let witness = Witness::start(&namespace, NODE, 109);
    let variant = Variant::start(&cluster, "overlays/tls", NAME, NODE, |_| {});
    let observer = variant.ready();
    wait::until("its figures", SOON, || {
        witness.is_shown(&observer.metrics()).then_some(())
    });
    assert_eq!(authority.verify(&observer), Some(0));

    let second = SystemTime::now() + 3 * HOUR;
    authority.issue(second);
    let took = await_shown(&authority, &observer, second);
    tell(
        "the serving certificate is rotated",
        "the new one from the next connection on; no client failed, no restart",
        took,
    );

    // One that has expired already is refused, and the one before stays.
    let failures = || {
        let what = [("what", "certificate")];
        let value = observer
            .metrics()
            .value("observer_tls_reload_failures_total", &what);
        value.expect("a count")
    };
    let before = failures();
    authority.issue(SystemTime::now() - HOUR);
    wait::until("its refusal", SOON, || (failures() > before).then_some(()));
    assert_eq!(authority.verify(&observer), Some(0));
    assert!((expiry(&observer) - seconds(second)).abs() < 0.5);

    // One that ends in use.
    let soon = SystemTime::now() + Duration::from_secs(15);
    authority.issue(soon);
    await_shown(&authority, &observer, soon);
    wait::until("its end", SOON, || {
        (authority.verify(&observer) == NOT_VERIFIED).then_some(())
    });
    assert!(
        witness.is_shown(&observer.metrics()),
        "to who does not verify"
    );
    let begin = Instant::now();
    authority.issue(second);
    wait::until("a certificate that holds", SOON, || {
        (authority.verify(&observer) == Some(0)).then_some(())
    });
    let recovery = begin.elapsed();
    assert!(witness.is_shown(&observer.metrics()));
    assert_eq!(variant.restarts(), 0);
    tell(
        "the serving certificate expires, then an expired one comes, then a good one",
        "clients that verify refuse it; an expired one is never taken for one that holds longer; no restart",
        recovery,
    );
}
