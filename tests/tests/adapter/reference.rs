//! The adapter against that of the reference library, which is given the same
//! values: the same requests, and what differs named with its reason.

use std::{
    env,
    process::{Child, Command, Stdio},
    time::Duration,
};

use observer_tests::{
    cluster::{
        Adapter, Cluster, NODES, Namespace, SOON,
        adapter::VERSIONS,
        api_server::Answer,
        burst,
        witness::{address, still},
    },
    wait,
};
use serde_json::{Value, json};

/// Where the reference adapter's values are written; it takes no other port.
const WRITE: u16 = 8080;
const SERVE: u16 = 16444;

/// The reference adapter, in node-b's network. Ended when dropped.
struct Reference {
    process: Child,
    address: String,
    token: String,
    agent: ureq::Agent,
    _directory: tempfile::TempDir,
}

impl Reference {
    fn start(cluster: &Cluster) -> Self {
        let program = env::var_os("OBSERVER_REFERENCE_ADAPTER");
        let program = program.expect("run cargo xtask test --step cluster");
        let variable = |name: &str| cluster.env(name).unwrap_or_else(|| panic!("{name}"));
        let directory = tempfile::tempdir().expect("a directory");
        let kubeconfig = variable("KUBECONFIG");
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", variable("NODE_B_NETWORK")))
            .arg("--")
            .arg(program)
            .arg(format!("--secure-port={SERVE}"))
            .arg(format!("--cert-dir={}", directory.path().display()));
        for client in ["lister", "authentication", "authorization"] {
            command.arg(format!("--{client}-kubeconfig={kubeconfig}"));
        }
        let log = std::fs::File::create(cluster.directory().join("logs/test-adapter.log"));
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("its log"))
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let tls = ureq::tls::TlsConfig::builder().disable_verification(true);
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(10)))
            .http_status_as_error(false)
            .tls_config(tls.build());
        let this = Self {
            process,
            address: variable("NODE_B_ADDRESS"),
            token: cluster.token("default", "go-observer-tests"),
            agent: agent.build().new_agent(),
            _directory: directory,
        };
        wait::until("the reference adapter", SOON, || {
            let answer = this.try_ask("v1beta2", "")?;
            (answer.code == 200).then_some(())
        });
        this
    }

    fn try_ask(&self, version: &str, path: &str) -> Option<Answer> {
        let path = Adapter::path(version, path);
        let url = format!("https://{}:{SERVE}{path}", self.address);
        let token = format!("Bearer {}", self.token);
        let request = self.agent.get(&url).header("Authorization", token);
        let mut response = request.call().ok()?;
        let text = response.body_mut().read_to_string().ok()?;
        Some(Answer {
            code: response.status().as_u16(),
            body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        })
    }

    fn ask(&self, version: &str, path: &str) -> Answer {
        wait::until("its answer", SOON, || self.try_ask(version, path))
    }

    /// Gives it a value.
    fn write(&self, path: &str, value: &Value) {
        let url = format!("http://{}:{WRITE}/write-metrics/{path}", self.address);
        let request = self.agent.post(&url).header("Content-Type", "application/json");
        let response = request.send(value.to_string());
        let code = response.unwrap_or_else(|e| panic!("{url}: {e}")).status();
        assert_eq!(code, 200, "{url}");
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Without what cannot be the same: when each saw the value.
fn plain(mut answer: Answer) -> Answer {
    if let Some(items) = answer.body["items"].as_array_mut() {
        for item in items.iter_mut() {
            let stamp = item["timestamp"].take();
            let written = stamp.as_str().is_some_and(|text| text.len() == 20 && text.ends_with('Z'));
            assert!(written, "a time in whole seconds: {stamp}");
        }
        items.sort_by_key(|item| item["describedObject"]["name"].to_string());
    }
    answer
}

#[test]
fn answers_are_those_of_the_reference_library() {
    let cluster = Cluster::get();
    let adapter = Adapter::get(&cluster);
    let reference = Reference::start(&cluster);
    let namespace = Namespace::create(&cluster, "alike");
    let place = &namespace.name;
    for (n, node) in NODES.iter().enumerate() {
        let mut pod = still(node, Some(node));
        pod["metadata"]["labels"] = json!({ "app": node, "all": "yes" });
        namespace.apply(pod);
        let address = address(&namespace, node);
        burst::ask(&address, &format!("/leak?n={}", 100 * (n + 1)));
    }
    give(&adapter, &reference, place);
    let mut different = Vec::new();
    for version in VERSIONS {
        for rest in requests() {
            let path = rest.replace("NS", place);
            let (theirs, ours) = (
                plain(reference.ask(version, &path)),
                plain(adapter.ask(version, &path)),
            );
            if theirs != ours {
                different.push(format!("{version} {rest}\n  theirs {theirs:?}\n  ours   {ours:?}"));
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

fn requests() -> Vec<&'static str> {
    vec![
        "namespaces/NS/pods/node-a/go_goroutines",
        "namespaces/NS/pods/node-b/go_goroutines",
        "namespaces/NS/pods/*/go_goroutines",
        "namespaces/NS/pods/%2A/go_goroutines?labelSelector=&metricLabelSelector=",
        "namespaces/NS/pods/*/go_goroutines?labelSelector=all%3Dyes",
        "namespaces/NS/pods/*/go_goroutines?labelSelector=app+in+(node-a,other)",
        "namespaces/NS/pods/*/go_goroutines?labelSelector=app+notin+(node-a)",
        "namespaces/NS/pods/*/go_goroutines?labelSelector=!app",
        "namespaces/NS/pods/*/go_goroutines?labelSelector=app!%3Dnode-b,all",
        "namespaces/NS/pods/*/go_goroutines?labelSelector=app+in+node-a",
        "namespaces/NS/pods/*/go_goroutines?labelSelector=%3D%3D",
        "namespaces/NS/pods/*/go_goroutines?metricLabelSelector=a+in+b",
        "namespaces/NS/pods/*/unknown",
        "namespaces/NS/pods/none/go_goroutines",
        "namespaces/NS/pods/none/unknown",
        "namespaces/NS/metrics/go_goroutines",
        "namespaces/NS/metrics/unknown",
        "namespaces/NS/pods",
        "namespaces/NS/pods/node-a",
        "namespaces/NS/nonsense/node-a/go_goroutines",
        "namespaces/NS/jobs.batch/none/go_goroutines",
        "nodes/node-a/go_goroutines",
        "namespaces/NS/nodes/node-a/go_goroutines",
        "nodes/none/go_goroutines",
        "nonsense",
    ]
}

/// Gives the reference adapter what ours serves.
fn give(adapter: &Adapter, reference: &Reference, namespace: &str) {
    let value = |path: &str| {
        let path = Adapter::path("v1beta2", path);
        adapter.api.await_get(&path, |list| {
            let value = &list["items"][0]["value"];
            value.is_string().then(|| value.clone())
        })
    };
    for node in NODES {
        let path = format!("namespaces/{namespace}/pods/{node}/go_goroutines");
        reference.write(&path, &value(&path));
        let path = format!("nodes/{node}/go_goroutines");
        reference.write(&path, &value(&path));
    }
    let path = format!("namespaces/{namespace}/metrics/go_goroutines");
    reference.write(&path, &value(&path));
}
