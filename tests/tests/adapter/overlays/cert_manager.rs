//! deploy/adapter-overlays/cert-manager, with Secrets as cert-manager writes
//! them in place of its own objects, and the caBundle that its cainjector
//! writes.

use std::time::{Duration, Instant, SystemTime};

use observer_tests::{
    cluster::{Adapter, Cluster, NAMESPACE, NODES, SOON, adapter::deploy, now, say},
    wait,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value, json};

use super::{Back, rolled_out};
use crate::{load, turn};

const DAY: Duration = Duration::from_hours(24);
const EXPIRY: &str = "observer_adapter_certificate_expiry_timestamp_seconds ";

/// What cert-manager does.
struct Manager<'a> {
    cluster: &'a Cluster,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl<'a> Manager<'a> {
    fn new(cluster: &'a Cluster) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        let name = "authority of the tests";
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        Self { cluster, issuer }
    }

    /// Writes the Secret of a Certificate, which is good for so many days, and
    /// has the kubelets look at once instead of within their minute. The end.
    fn issue(&self, certificate: &Value, days: u32) -> f64 {
        let spec = &certificate["spec"];
        let names = spec["dnsNames"].as_array().expect("names");
        let names: Vec<_> = names.iter().filter_map(|it| it.as_str()).collect();
        let names: Vec<_> = names.into_iter().map(str::to_owned).collect();
        let mut params = CertificateParams::new(names).expect("parameters");
        let ends = SystemTime::now() + DAY * days;
        params.not_before = (SystemTime::now() - DAY).into();
        params.not_after = ends.into();
        let key = KeyPair::generate().expect("a key");
        let signed = params.signed_by(&key, &self.issuer).expect("a certificate");
        self.cluster.apply(&json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": spec["secretName"], "namespace": NAMESPACE },
            "stringData": {
                "tls.crt": signed.pem(),
                "tls.key": key.serialize_pem(),
                "ca.crt": self.issuer.pem(),
            },
        }));
        let look = format!("go-observer.test/look={}", now());
        let place = ["--namespace", NAMESPACE, "--overwrite"];
        let args = ["annotate", "pods", "--all", &look];
        self.cluster.kubectl(&[args.as_slice(), &place].concat());
        let since = ends.duration_since(SystemTime::UNIX_EPOCH);
        since.expect("after 1970").as_secs() as f64
    }

    /// What cainjector writes.
    fn bundle(&self) -> Value {
        let secret = ["secret", "observer-adapter-tls", "--namespace", NAMESPACE];
        self.cluster.get_object(&secret)["data"]["ca.crt"].take()
    }
}

/// Deletes what the overlay has no more.
fn forget(cluster: &Cluster) {
    let place = ["--namespace", NAMESPACE];
    for kind in ["role", "rolebinding"] {
        let args = ["delete", kind, "observer-adapter"];
        cluster.kubectl(&[args.as_slice(), &place].concat());
    }
}

/// The objects of the overlay: those of cert-manager, and the others.
fn rendered(cluster: &Cluster) -> (Vec<Value>, Vec<Value>) {
    let path = deploy("adapter-overlays/cert-manager");
    let text = cluster.kubectl(&["kustomize", &path]);
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).expect("objects");
    objects
        .into_iter()
        .partition(|it| it["apiVersion"] == "cert-manager.io/v1")
}

#[test]
fn certificates_of_cert_manager_serve_and_rotate() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    let adapter = Adapter::get(&cluster);
    let manager = Manager::new(&cluster);
    let (certificates, objects) = rendered(&cluster);
    let leaves = certificates
        .iter()
        .filter(|it| it["spec"]["dnsNames"].is_array());
    let leaves: Vec<_> = leaves.collect();
    assert_eq!(leaves.len(), 2, "{certificates:?}");
    let _back = Back(&adapter);
    forget(&cluster);
    for leaf in &leaves {
        manager.issue(leaf, 90);
    }
    for mut object in objects {
        if object["kind"] == "APIService" {
            object["spec"]["caBundle"] = manager.bundle();
        }
        cluster.apply(&object);
    }
    rolled_out(&adapter);
    adapter.await_available();
    // Each observer has to show its new certificate first.
    wait::until("values of both nodes", SOON, || {
        let answer = adapter.try_ask("v1beta2", "nodes/*/go_goroutines").ok()?;
        (answer.code == 200 && answer.items().len() == NODES.len()).then_some(())
    });
    let adapters = leaves
        .iter()
        .find(|it| it["metadata"]["name"] == "observer-adapter");
    let adapters = adapters.expect("the adapter's");
    load::during(&adapter, || {
        let begin = Instant::now();
        let ends = manager.issue(adapters, 60);
        await_shown(&adapter, ends);
        say(&format!(
            "a certificate in the Secret is served by both replicas after {:.1} s",
            begin.elapsed().as_secs_f64()
        ));
    });
    adapter.await_available();
    for pod in adapter.pods() {
        let restarts = &pod["status"]["containerStatuses"][0]["restartCount"];
        assert_eq!(*restarts, 0, "{pod}");
    }
}

/// Waits until every replica shows the certificate that ends then.
fn await_shown(adapter: &Adapter, ends: f64) {
    let token = adapter.cluster.token("monitoring", "prometheus");
    let bearer = format!("Bearer {token}");
    for replica in adapter.replicas() {
        wait::until("the new certificate", SOON, || {
            let answer = replica.ask("/metrics", &[("Authorization", &bearer)], None);
            let answer = answer.ok().filter(|answer| answer.code == 200)?;
            let text = answer.body.as_str()?;
            let shown = text.lines().find_map(|line| line.strip_prefix(EXPIRY))?;
            let shown: f64 = shown.trim().parse().ok()?;
            ((shown - ends).abs() < 1.5).then_some(())
        });
    }
}
