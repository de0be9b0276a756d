//! Both adapters as processes, and their requests.

use std::{
    env, fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use observer_adapter::Authority;
use observer_tests::wait;
use serde_json::Value;
use tempfile::TempDir;

use super::{api::Api, nodes::Nodes};

const OURS: u16 = 16443;
const THEIRS: u16 = 16444;
/// Where the reference adapter takes values; it knows no other port.
const WRITE: u16 = 8080;
const METRIC: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/go_goroutines?labelSelector=app%3Dweb";
const START: Duration = Duration::from_secs(60);

/// A running adapter; it ends when this is dropped.
pub(super) struct Adapter {
    process: Child,
    port: u16,
    agent: ureq::Agent,
    _directory: TempDir,
}

impl Drop for Adapter {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn agent() -> ureq::Agent {
    let tls = ureq::tls::TlsConfig::builder().disable_verification(true);
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(60)))
        .http_status_as_error(false)
        .tls_config(tls.build());
    config.build().new_agent()
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

impl Adapter {
    /// Ours, which takes figures of this age without asking.
    pub(super) fn ours(api: &Api, nodes: &Nodes, fresh: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let file = |name: &str| directory.path().join(name);
        write(&file("kubeconfig"), &api.kubeconfig());
        write(&file("token"), "token");
        write(&file("nodes.pem"), &nodes.pem);
        let authority = Authority::new().expect("an authority");
        let pair = authority
            .issue(&["127.0.0.1".to_owned()])
            .expect("a certificate");
        write(&file("tls.crt"), &pair.certificate);
        write(&file("tls.key"), &pair.key);
        let program = env::var_os("OBSERVER_BIN").expect("run cargo xtask bench");
        let mut command = Command::new(program);
        command
            .arg("adapter")
            .args(["--listen", &format!("127.0.0.1:{OURS}")])
            .args(["--node-port", &nodes.port.to_string()])
            .args(["--ttl", fresh, "--node-timeout", "30s"]);
        for (option, name) in [
            ("--token-file", "token"),
            ("--node-ca-file", "nodes.pem"),
            ("--tls-cert-file", "tls.crt"),
            ("--tls-key-file", "tls.key"),
        ] {
            command.arg(option).arg(file(name));
        }
        command.env("KUBECONFIG", file("kubeconfig"));
        Self::start(command, OURS, directory)
    }

    /// That of the reference library, given as many values.
    pub(super) fn reference(api: &Api, nodes: usize, pods: usize) -> Option<Self> {
        let program = env::var_os("OBSERVER_REFERENCE_ADAPTER")?;
        let directory = tempfile::tempdir().expect("a directory");
        let kubeconfig = directory.path().join("kubeconfig");
        write(&kubeconfig, &api.kubeconfig());
        let mut command = Command::new(program);
        command
            .arg(format!("--secure-port={THEIRS}"))
            .arg(format!("--cert-dir={}", directory.path().display()))
            .arg("--authentication-skip-lookup");
        for client in ["lister", "authentication", "authorization"] {
            command.arg(format!("--{client}-kubeconfig={}", kubeconfig.display()));
        }
        let adapter = Self::start(command, THEIRS, directory);
        let agent = agent();
        let taken = format!("http://127.0.0.1:{WRITE}/");
        wait::until("the reference adapter to take values", START, || {
            agent.get(&taken).call().ok()
        });
        for (node, pod) in (0..nodes).flat_map(|node| (0..pods).map(move |pod| (node, pod))) {
            let path = format!("namespaces/shop/pods/pod-{node}-{pod}/go_goroutines");
            let url = format!("http://127.0.0.1:{WRITE}/write-metrics/{path}");
            let request = agent.post(&url).header("Content-Type", "application/json");
            let mut answer = request
                .send("100")
                .unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(answer.status().as_u16(), 200, "{url}");
            drop(answer.body_mut().read_to_vec());
        }
        Some(adapter)
    }

    fn start(mut command: Command, port: u16, directory: TempDir) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self {
            process,
            port,
            agent: agent(),
            _directory: directory,
        }
    }

    /// All values, as text.
    fn ask(&self) -> Option<Vec<u8>> {
        let url = format!("https://127.0.0.1:{}{METRIC}", self.port);
        let request = self.agent.get(&url).header("Authorization", "Bearer token");
        let mut answer = request.call().ok()?;
        let whole = answer.body_mut().with_config().limit(1 << 30).read_to_vec();
        (answer.status() == 200).then(|| whole.ok())?
    }

    /// Milliseconds of requests that give so many values, from the fastest, and
    /// milliseconds of processor time that one took.
    pub(super) fn measure(&self, values: usize, rounds: usize) -> (Vec<f64>, f64) {
        let since = Instant::now();
        // The first that succeeds also makes the connections.
        let counted = || {
            let list: Value = serde_json::from_slice(&self.ask()?).ok()?;
            list["items"].as_array().map(Vec::len)
        };
        while counted() != Some(values) {
            assert!(since.elapsed() < START, "{values} values: {:?}", counted());
            thread::sleep(Duration::from_millis(100));
        }
        let before = self.processor_milliseconds();
        let mut took: Vec<f64> = (0..rounds)
            .map(|_| {
                let begin = Instant::now();
                self.ask().expect("an answer");
                begin.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        let cost = (self.processor_milliseconds() - before) / rounds as f64;
        assert_eq!(counted(), Some(values), "every pod has its value");
        took.sort_by(f64::total_cmp);
        (took, cost)
    }

    fn processor_milliseconds(&self) -> f64 {
        let path = format!("/proc/{}/stat", self.process.id());
        let stat = fs::read_to_string(path).expect("its times");
        let (_, fields) = stat.rsplit_once(')').expect("its name in brackets");
        let ticks = fields.split_whitespace().skip(11).take(2);
        // Linux counts a hundred a second.
        ticks
            .filter_map(|ticks| ticks.parse::<f64>().ok())
            .sum::<f64>()
            * 10.0
    }

    /// The most memory it had, in MiB.
    pub(super) fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = fs::read_to_string(path).expect("its memory");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
        kib.expect("its memory") / 1024
    }
}
