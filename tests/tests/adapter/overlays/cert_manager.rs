//! deploy/adapter-overlays/cert-manager, with Secrets as cert-manager writes
//! them in place of its own objects.

use std::{
    env, fs,
    path::Path,
    thread,
    time::{Duration, Instant, SystemTime},
};

use observer_tests::{
    cluster::{
        Adapter, Cluster, NAMESPACE, SOON,
        adapter::{Replica, deploy},
        now, observers, say, turn,
    },
    metrics::Exposition,
    wait,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value, json};

use super::{Back, CUSTOM, rolled_out};
use crate::load;

const DAY: Duration = Duration::from_hours(24);
/// Of the adapter, then of the observers.
const EXPIRY: [&str; 2] = [
    "observer_adapter_certificate_expiry_timestamp_seconds",
    "observer_tls_certificate_expiry_timestamp_seconds",
];

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

    /// Writes the Secret of a Certificate, which is good for so many days. Its
    /// end.
    fn issue(&self, certificate: &Value, days: u32) -> f64 {
        let spec = &certificate["spec"];
        let names = spec["dnsNames"].as_array().expect("names").iter();
        let names = names.filter_map(|name| Some(name.as_str()?.to_owned()));
        let mut params = CertificateParams::new(names.collect::<Vec<_>>()).expect("parameters");
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
        let since = ends.duration_since(SystemTime::UNIX_EPOCH);
        since.expect("after 1970").as_secs() as f64
    }

    /// The authority, as a Secret has it.
    fn bundle(&self) -> Value {
        let secret = ["secret", "observer-adapter-tls", "--namespace", NAMESPACE];
        self.cluster.get_object(&secret)["data"]["ca.crt"].take()
    }
}

/// The definitions of cert-manager's objects. Removed when dropped.
struct Definitions<'a>(&'a Cluster);

impl<'a> Definitions<'a> {
    const NAMES: [&'static str; 2] = ["certificates", "issuers"];

    fn create(cluster: &'a Cluster) -> Self {
        let of = env::var_os("OBSERVER_CERT_MANAGER");
        let of = of.expect("run cargo xtask test --step cluster");
        let this = Self(cluster);
        let directory = tempfile::tempdir().expect("a folder");
        for name in Self::NAMES {
            let file = format!("crd-{name}.yaml");
            let text = fs::read_to_string(Path::new(&of).join(&file)).expect("a definition");
            // Helm's lines are of no use to kubectl.
            let lines = text.lines().filter(|line| !line.contains("{{"));
            let path = directory.path().join(&file);
            fs::write(&path, lines.collect::<Vec<_>>().join("\n")).expect("to write it");
            let path = path.to_string_lossy();
            cluster.kubectl(&["create", "--filename", &path]);
            let name = format!("crd/{name}.cert-manager.io");
            let wait = ["wait", "--for=condition=Established", "--timeout=60s"];
            let wait = [wait.as_slice(), &[&name]].concat();
            // kubectl gives up on an object that has no conditions yet.
            wait::until("the definition", Duration::from_secs(60), || {
                cluster.try_kubectl(&wait).ok()
            });
        }
        this
    }
}

impl Drop for Definitions<'_> {
    fn drop(&mut self) {
        let names = Self::NAMES.map(|name| format!("{name}.cert-manager.io"));
        let args = ["delete", "crd", &names[0], &names[1]];
        let _ = self.0.try_kubectl(&args);
    }
}

/// Deletes what the overlay has no more.
fn forget(cluster: &Cluster) {
    for kind in ["role", "rolebinding"] {
        let args = ["delete", kind, "observer-adapter", "--namespace", NAMESPACE];
        cluster.kubectl(&args);
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
    let _programs = load::on_each_node(&adapter);
    let manager = Manager::new(&cluster);
    let (certificates, objects) = rendered(&cluster);
    let [adapters, nodes] = ["observer-adapter", "observer"].map(|name| {
        let mut all = certificates.iter().filter(|it| it["kind"] == "Certificate");
        let found = all.find(|it| it["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("no Certificate {name}"))
    });
    let back = Back(&adapter);
    let definitions = Definitions::create(&cluster);
    let path = deploy("adapter-overlays/cert-manager");
    cluster.kubectl(&[
        "apply",
        "--dry-run=server",
        "--validate=strict",
        "-k",
        &path,
    ]);
    forget(&cluster);
    manager.issue(adapters, 90);
    for object in objects {
        cluster.apply(&object);
    }
    rolled_out(&adapter);
    // By the authority that cert-manager has written beside the certificate.
    wait::until("its caBundle", SOON, || {
        let service = cluster.find(&["apiservice", CUSTOM[1]])?;
        (service["spec"]["caBundle"] == manager.bundle()).then_some(())
    });
    adapter.await_available();
    // Those that are still there would renew the other Secret, which was theirs.
    adapter.replicas();
    let ends = manager.issue(nodes, 90);
    for observer in observers(&cluster) {
        await_shown(&cluster, ends, || {
            let (_, text) = observer.try_get("/metrics").ok()?;
            Exposition::parse(&text).value(EXPIRY[1], &[])
        });
    }
    load::await_each_node(&adapter);
    let token = cluster.token("monitoring", "prometheus");
    load::during(&adapter, || {
        let begin = Instant::now();
        let ends = manager.issue(adapters, 60);
        for replica in adapter.replicas() {
            await_shown(&cluster, ends, || end_of(&replica, &token));
        }
        say(&format!(
            "a certificate in the Secret is served by both replicas after {:.1} s",
            begin.elapsed().as_secs_f64()
        ));
    });
    for pod in adapter.pods() {
        let restarts = &pod["status"]["containerStatuses"][0]["restartCount"];
        assert_eq!(*restarts, 0, "{pod}");
    }
    drop((definitions, back));
    // The adapter has made them another certificate, which the kubelets would
    // bring them within their minute.
    let place = ["daemonset/observer", "--namespace", NAMESPACE];
    cluster.kubectl(&[["rollout", "restart"].as_slice(), &place].concat());
    cluster.kubectl(&[["rollout", "status"].as_slice(), &place].concat());
    load::await_each_node(&adapter);
}

/// Waits until this end is shown, and has the kubelets look at Secrets at once
/// instead of within their minute.
fn await_shown(cluster: &Cluster, ends: f64, shown: impl Fn() -> Option<f64>) {
    wait::until("the new certificate", SOON, || {
        let look = format!("go-observer.test/look={}", now());
        let args = ["annotate", "pods", "--all", &look, "--overwrite"];
        cluster.kubectl(&[args.as_slice(), &["--namespace", NAMESPACE]].concat());
        (0..10).find_map(|_| {
            thread::sleep(Duration::from_millis(200));
            shown().filter(|shown| (shown - ends).abs() < 1.5).map(drop)
        })
    });
}

/// When the certificate of a replica ends.
fn end_of(replica: &Replica, token: &str) -> Option<f64> {
    let bearer = format!("Bearer {token}");
    let answer = replica.ask("/metrics", &[("Authorization", &bearer)], None);
    let answer = answer.ok().filter(|answer| answer.code == 200)?;
    Exposition::parse(answer.body.as_str()?).value(EXPIRY[0], &[])
}
