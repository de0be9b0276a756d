//! Who gets an answer, and with which certificate.

use std::{
    fs,
    process::{Child, Command, ExitStatus},
};

use observer_tests::{
    cluster::{
        Cluster, NAMESPACE, NODES, Namespace, Observer, SOON, observers, turn, variant::Variant,
    },
    wait,
};
use serde_json::json;
use tempfile::{NamedTempFile, TempDir};

const PROTECTED: [&str; 2] = ["/metrics", "/api/v1/processes"];
const SECRET: &str = "go-observer-node-tls";

fn status(observer: &Observer, path: &str, token: Option<&str>) -> u16 {
    let answer = observer.get_as(path, token);
    let (status, _) = answer.unwrap_or_else(|e| panic!("{path} of {}: {e}", observer.pod));
    status
}

/// A service account, and what it shows.
fn account(namespace: &Namespace, name: &str) -> String {
    namespace.apply(json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": { "name": name },
    }));
    namespace.cluster.token(&namespace.name, name)
}

/// Waits until who has a right by now is let in.
fn await_let_in(observer: &Observer, path: &str, token: &str) {
    wait::until(&format!("{path} for who may"), SOON, || {
        (status(observer, path, Some(token)) == 200).then_some(())
    });
}

/// Rights of the whole cluster. Taken back when dropped.
struct Binding(Cluster, String);

impl Binding {
    fn create(cluster: &Cluster, name: &str, whom: &str) -> Self {
        let role = "--clusterrole=go-observer-metrics-reader";
        cluster.kubectl(&["create", "clusterrolebinding", name, role, whom]);
        Self(cluster.clone(), name.to_owned())
    }
}

impl Drop for Binding {
    fn drop(&mut self) {
        let _ = self
            .0
            .try_kubectl(&["delete", "clusterrolebinding", &self.1]);
    }
}

#[test]
fn figures_are_for_those_who_may_read_metrics() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let namespace = Namespace::create(&cluster, "callers");
    let stranger = account(&namespace, "stranger");
    let reader = account(&namespace, "reader");
    let whom = format!("--serviceaccount={}:reader", namespace.name);
    let _binding = Binding::create(&cluster, &namespace.name, &whom);
    // Good in form, and signed by nobody.
    let mut forged = reader.clone();
    let signature = forged.rfind('.').expect("a token of three parts");
    forged.replace_range(signature + 1.., &"A".repeat(342));
    for observer in observers(&cluster) {
        for path in PROTECTED {
            // The API server may not know of an account or a right that has just been made.
            let mut seen = [0; 4];
            let right = wait::comes_true(SOON, || {
                seen = [None, Some("nonsense"), Some(&forged), Some(&stranger)]
                    .map(|token| status(&observer, path, token));
                assert!(!seen.contains(&200), "{path}: {seen:?}");
                seen == [401, 401, 401, 403]
            });
            assert!(right, "{path} of {}: {seen:?}", observer.pod);
            await_let_in(&observer, path, &reader);
        }
        for path in ["/healthz", "/readyz"] {
            assert_eq!(status(&observer, path, None), 200, "{path}");
        }
    }
}

#[test]
fn a_token_goes_when_its_account_does() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let namespace = Namespace::create(&cluster, "gone");
    let token = account(&namespace, "reader");
    let whom = format!("--serviceaccount={}:reader", namespace.name);
    let _binding = Binding::create(&cluster, &namespace.name, &whom);
    let observer = Observer::on(&cluster, NODES[1]);
    await_let_in(&observer, "/metrics", &token);
    namespace.kubectl(&["delete", "serviceaccount", "reader"]);
    wait::until("the token to be refused", SOON, || {
        (status(&observer, "/metrics", Some(&token)) == 401).then_some(())
    });
}

/// Events that somebody follows. Ended when dropped.
struct Stream {
    curl: Child,
    heard: NamedTempFile,
}

impl Stream {
    fn open(observer: &Observer, token: &str) -> Self {
        let heard = NamedTempFile::new().expect("a file");
        let curl = Command::new("curl")
            .args(["--silent", "--fail", "--insecure", "--no-buffer"])
            .arg("--max-time")
            .arg((3 * SOON).as_secs().to_string())
            .arg("--header")
            .arg(format!("Authorization: Bearer {token}"))
            .arg(format!("https://{}/api/v1/events", observer.address))
            .stdout(heard.reopen().expect("the file"))
            .spawn()
            .expect("curl; run cargo xtask setup");
        Self { curl, heard }
    }

    fn heard(&self) -> String {
        fs::read_to_string(self.heard.path()).expect("what was heard")
    }

    /// How it was ended, if it was.
    fn end(&mut self) -> Option<ExitStatus> {
        self.curl.try_wait().expect("its status")
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self.curl.kill();
        let _ = self.curl.wait();
    }
}

#[test]
fn events_end_with_the_right_to_them() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let namespace = Namespace::create(&cluster, "listeners");
    let observer = Observer::on(&cluster, NODES[0]);
    let [(mut leaves, binding), (mut stays, _binding)] = ["leaves", "stays"].map(|name| {
        let token = account(&namespace, name);
        let whom = format!("--serviceaccount={}:{name}", namespace.name);
        let binding = Binding::create(&cluster, &format!("{}-{name}", namespace.name), &whom);
        // The right is new, and an answer from before may hold.
        wait::until("a right to read", SOON, || {
            (status(&observer, "/metrics", Some(&token)) == 200).then_some(())
        });
        (Stream::open(&observer, &token), binding)
    });
    for stream in [&mut leaves, &mut stays] {
        wait::until("the table of a stream", SOON, || {
            let end = stream.end();
            assert!(end.is_none(), "{end:?}: {}", stream.heard());
            stream.heard().contains("event: table").then_some(())
        });
    }
    drop(binding);
    let end = wait::until("the end of what may not be heard", 2 * SOON, || {
        leaves.end()
    });
    // 28 is curl's own end, after the time it was given.
    assert_ne!(end.code(), Some(28), "{end}");
    let end = stays.end();
    assert!(end.is_none(), "who may hear goes on: {end:?}");
}

/// Certificates made by openssl, in files.
struct Certificates(TempDir);

impl Certificates {
    fn create() -> Self {
        let this = Self(tempfile::tempdir().expect("a directory"));
        this.openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt");
        this
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn openssl(&self, args: &str) {
        let output = Command::new("openssl")
            .args(args.split(' '))
            .current_dir(self.0.path())
            .output()
            .expect("openssl; run cargo xtask setup");
        assert!(output.status.success(), "openssl {args}: {output:?}");
    }

    /// A certificate of the authority with this number.
    fn sign(&self, file: &str, subject: &str, serial: u32) {
        fs::write(
            self.path("names"),
            "subjectAltName=DNS:observer.go-observer.svc\n",
        )
        .expect("names");
        self.openssl(&format!("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj {subject} -keyout {file}.key -out {file}.csr"));
        self.openssl(&format!("x509 -req -in {file}.csr -CA ca.crt -CAkey ca.key -set_serial {serial} -days 1 -extfile names -out {file}.crt"));
    }

    /// As kubectl and cert-manager make it.
    fn secret(&self, cluster: &Cluster, file: &str) {
        let read = |name: &str| {
            fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
        };
        cluster.apply(&json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": SECRET, "namespace": NAMESPACE },
            "type": "kubernetes.io/tls",
            "stringData": {
                "tls.crt": read(&format!("{file}.crt")),
                "tls.key": read(&format!("{file}.key")),
                "ca.crt": read("ca.crt"),
            },
        }));
    }

    /// curl as the observer's name says, trusting only the authority: status
    /// and body, or nothing where no connection came about.
    fn curl(&self, address: &str, path: &str, client: Option<&str>) -> Option<u16> {
        let host = "observer.go-observer.svc:9920";
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--output", "/dev/null", "--max-time", "10"])
            .args([
                "--write-out",
                "%{http_code}",
                "--cacert",
                &self.path("ca.crt"),
            ])
            .args(["--connect-to", &format!("{host}:{address}")]);
        if let Some(client) = client {
            command
                .args(["--cert", &self.path(&format!("{client}.crt"))])
                .args(["--key", &self.path(&format!("{client}.key"))]);
        }
        let output = command.arg(format!("https://{host}{path}")).output();
        let output = output.expect("curl; run cargo xtask setup");
        let code = String::from_utf8_lossy(&output.stdout).parse().ok();
        code.filter(|_| output.status.success())
    }
}

/// Number of the certificate that is served.
fn served_serial(address: &str) -> Option<u32> {
    let line = format!(
        "openssl s_client -connect {address} </dev/null 2>/dev/null | openssl x509 -noout -serial"
    );
    let output = Command::new("sh").args(["-c", &line]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    u32::from_str_radix(text.trim().strip_prefix("serial=")?, 16).ok()
}

struct SecretOfTest(Cluster);

impl Drop for SecretOfTest {
    fn drop(&mut self) {
        let args = ["delete", "secret", SECRET, "--namespace", NAMESPACE];
        let _ = self.0.try_kubectl(&args);
    }
}

#[test]
fn a_new_certificate_is_served_without_a_restart() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    let certificates = Certificates::create();
    certificates.sign("first", "/CN=observer", 0x11);
    certificates.sign("second", "/CN=observer", 0x22);
    certificates.sign("reader", "/CN=cluster-test-reader", 0x33);
    certificates.sign("stranger", "/CN=cluster-test-stranger", 0x44);
    let _secret = SecretOfTest(cluster.clone());
    certificates.secret(&cluster, "first");
    let variant = Variant::start(&cluster, "overlays/tls", "observer-tls", NODES[0], |_| ());
    let observer = variant.ready();
    assert_eq!(served_serial(&observer.address), Some(0x11));

    let whom = "--user=cluster-test-reader";
    let _binding = Binding::create(&cluster, "cluster-test-reader", whom);
    let ask = |client| certificates.curl(&observer.address, "/metrics", client);
    assert_eq!(ask(None), Some(401));
    assert_eq!(ask(Some("stranger")), Some(403));
    wait::until("the reader let in", SOON, || {
        (ask(Some("reader")) == Some(200)).then_some(())
    });

    let began = |variant: &Variant| {
        variant.pod()["status"]["containerStatuses"][0]["state"]["running"]["startedAt"].clone()
    };
    let before = began(&variant);
    certificates.secret(&cluster, "second");
    // A kubelet looks at a pod's volumes once a minute, or when it changes.
    let args = ["annotate", "pod", &variant.name, "--namespace", NAMESPACE];
    let args: Vec<_> = args.into_iter().chain(["test/look=now"]).collect();
    cluster.kubectl(&args);
    wait::until("the second certificate", 2 * SOON, || {
        (served_serial(&observer.address) == Some(0x22)).then_some(())
    });
    assert_eq!(ask(Some("reader")), Some(200));
    assert_eq!(began(&variant), before);
    assert_eq!(variant.restarts(), 0);
}
