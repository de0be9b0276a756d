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
        burst, turn,
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
        let request = self
            .agent
            .post(&url)
            .header("Content-Type", "application/json");
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

/// Without what cannot be the same, which is when each saw the value; without
/// `details` that say nothing; and with `v1` in place of the `/v1` that the
/// library writes for the version of a Pod, which is no version.
fn plain(mut answer: Answer) -> Answer {
    if answer.body["details"] == json!({}) {
        answer
            .body
            .as_object_mut()
            .expect("an object")
            .remove("details");
    }
    if let Some(items) = answer.body.get_mut("items").and_then(Value::as_array_mut) {
        for item in items.iter_mut() {
            let version = &mut item["describedObject"]["apiVersion"];
            if *version == "/v1" {
                *version = json!("v1");
            }
            let stamp = item["timestamp"].take();
            let written = stamp
                .as_str()
                .is_some_and(|text| text.len() == 20 && text.ends_with('Z'));
            assert!(written, "a time in whole seconds: {stamp}");
        }
        items.sort_by_key(|item| item["describedObject"]["name"].to_string());
    }
    answer
}

/// Takes from our answer the reason that follows the library's own words, and
/// tells whether there was one: the library never says why a value is missing.
fn take_reason(ours: &mut Answer, theirs: &Answer) -> bool {
    let (Some(said), Some(words)) = (
        ours.body["message"].as_str(),
        theirs.body["message"].as_str(),
    ) else {
        return false;
    };
    let reason = said.strip_prefix(words).and_then(|r| r.strip_prefix(": "));
    let given = ours.code == 404 && reason.is_some_and(|reason| !reason.is_empty());
    if given {
        ours.body["message"] = json!(words);
    }
    given
}

#[test]
fn answers_are_those_of_the_reference_library() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let adapter = Adapter::get(&cluster);
    let reference = Reference::start(&cluster);
    let namespace = Namespace::create(&cluster, "alike");
    let place = &namespace.name;
    for (n, node) in NODES.iter().enumerate() {
        let mut pod = still(node, Some(node));
        pod["metadata"]["labels"] = json!({ "app": node, "all": "yes" });
        // Other tests' pods may be on the nodes still.
        pod["spec"]["containers"][0]["name"] = json!("alike");
        namespace.apply(pod);
        let address = address(&namespace, node);
        burst::ask(&address, &format!("/leak?n={}", 100 * (n + 1)));
    }
    give(&adapter, &reference, place);
    let mut explained = Vec::new();
    for version in VERSIONS {
        for (rest, difference) in REQUESTS {
            let path = rest.replace("NS", place);
            let (theirs, mut ours) = (
                plain(reference.ask(version, &path)),
                plain(adapter.ask(version, &path)),
            );
            if take_reason(&mut ours, &theirs) {
                explained.push((version, rest));
            }
            match difference {
                None => assert_eq!(theirs, ours, "{version} {rest}"),
                Some((codes, why)) => {
                    let found = (theirs.code, ours.code);
                    assert_eq!(
                        found, codes,
                        "{version} {rest} ({why}): {theirs:?} {ours:?}"
                    );
                    assert_ne!(theirs, ours, "{version} {rest}: no longer true: {why}");
                }
            }
        }
    }
    // Who asks for one object's value is told why there is none.
    for rest in [
        "namespaces/NS/pods/none/go_goroutines",
        "namespaces/NS/pods/none/unknown",
        "nodes/none/go_goroutines",
    ] {
        for version in VERSIONS {
            let is_there = explained.contains(&(version, rest));
            assert!(is_there, "{version} {rest} without a reason");
        }
    }
}

/// Their code and ours, and why the answers differ.
type Difference = ((u16, u16), &'static str);

const SELECTOR: Difference = (
    (400, 400),
    "what is wrong with a selector is said in our parser's words",
);
const REQUESTS: [(&str, Option<Difference>); 25] = [
    ("namespaces/NS/pods/node-a/go_goroutines", None),
    ("namespaces/NS/pods/node-b/go_goroutines", None),
    ("namespaces/NS/pods/*/go_goroutines", None),
    (
        "namespaces/NS/pods/%2A/go_goroutines?labelSelector=&metricLabelSelector=",
        None,
    ),
    (
        "namespaces/NS/pods/*/go_goroutines?labelSelector=all%3Dyes",
        None,
    ),
    (
        "namespaces/NS/pods/*/go_goroutines?labelSelector=app+in+(node-a,other)",
        None,
    ),
    (
        "namespaces/NS/pods/*/go_goroutines?labelSelector=app+notin+(node-a)",
        None,
    ),
    (
        "namespaces/NS/pods/*/go_goroutines?labelSelector=!app",
        None,
    ),
    (
        "namespaces/NS/pods/*/go_goroutines?labelSelector=app!%3Dnode-b,all",
        None,
    ),
    ("namespaces/NS/pods/none/go_goroutines", None),
    ("namespaces/NS/pods/none/unknown", None),
    ("namespaces/NS/metrics/unknown", None),
    ("namespaces/NS/pods/node-a", None),
    (
        "nodes/node-a/go_goroutines?metricLabelSelector=container%3Dalike",
        None,
    ),
    ("nodes/none/go_goroutines", None),
    ("nonsense", None),
    (
        "namespaces/NS/pods/*/go_goroutines?labelSelector=app+in+node-a",
        Some(SELECTOR),
    ),
    (
        "namespaces/NS/pods/*/go_goroutines?labelSelector=%3D%3D",
        Some(SELECTOR),
    ),
    (
        "namespaces/NS/pods/*/go_goroutines?metricLabelSelector=a+in+b",
        Some((
            (500, 400),
            "the library takes the caller's mistake for its own",
        )),
    ),
    (
        "namespaces/NS/pods/*/unknown",
        Some((
            (200, 404),
            "it does not know which metrics there are, and finds no object that has one",
        )),
    ),
    (
        "namespaces/NS/metrics/go_goroutines",
        Some((
            (404, 200),
            "it keeps what is written of namespaces as of objects within them, and looks for others",
        )),
    ),
    (
        "namespaces/NS/nodes/node-a/go_goroutines",
        Some((
            (404, 200),
            "it keeps both spellings apart; the autoscaler uses this one",
        )),
    ),
    (
        "namespaces/NS/pods",
        Some((
            (400, 404),
            "a list of pods is nothing that is served, rather than a malformed path",
        )),
    ),
    (
        "namespaces/NS/nonsense/node-a/go_goroutines",
        Some((
            (500, 404),
            "the library takes an unknown resource for a failure of its own",
        )),
    ),
    (
        "namespaces/NS/jobs.batch/none/go_goroutines",
        Some((
            (404, 404),
            "of a kind that has no values there is no such path, rather than no such metric",
        )),
    ),
];

/// Gives the reference adapter what ours serves.
fn give(adapter: &Adapter, reference: &Reference, namespace: &str) {
    let selector = "metricLabelSelector=container%3Dalike";
    let give = |path: &str, write: &str, least: u64| {
        let path = Adapter::path("v1beta2", path);
        let mut known: Option<(Value, Value)> = None;
        let value = adapter.api.await_get(&path, |list| {
            let (value, at) = (&list["items"][0]["value"], &list["items"][0]["timestamp"]);
            // What answered a request has ended a moment after: at two times it is as much.
            let more = value.as_str()?.parse::<u64>().ok()?.checked_sub(least)?;
            let (then, before) = known.get_or_insert_with(|| (at.clone(), value.clone()));
            if before != value {
                (*then, *before) = (at.clone(), value.clone());
            }
            (more <= 10 && then != at).then(|| value.clone())
        });
        reference.write(write, &value);
    };
    std::thread::sleep(Duration::from_secs(2));
    for (node, least) in NODES.iter().zip([100, 200]) {
        let path = format!("namespaces/{namespace}/pods/{node}/go_goroutines");
        give(&path, &path, least);
        let path = format!("nodes/{node}/go_goroutines");
        let labels = format!("{path}?labels=container%3Dalike");
        give(&format!("{path}?{selector}"), &labels, least);
    }
    let path = format!("namespaces/{namespace}/metrics/go_goroutines");
    give(&path, &path, 300);
}
