//! The observer's pods, one on each node.

use std::{fs, sync::OnceLock};

use serde_json::Value;

use super::{Cluster, NAMESPACE, NODES, SOON, tls};
use crate::{metrics::Exposition, wait};

/// Whose token the tests show: Prometheus' own, which may read metrics.
const ACCOUNT: (&str, &str) = ("monitoring", "prometheus");

/// The observer's pod on one node.
#[derive(Clone, Debug)]
pub struct Observer {
    /// Name of the pod.
    pub pod: String,
    /// Its UID.
    pub uid: String,
    /// Its node.
    pub node: String,
    /// Where it serves.
    pub address: String,
    token: String,
    agent: ureq::Agent,
}

/// Those on both nodes, once they are ready.
pub fn observers(cluster: &Cluster) -> Vec<Observer> {
    wait::until("an observer ready on each node", SOON, || {
        let found: Vec<_> = NODES
            .iter()
            .filter_map(|node| Observer::find(cluster, node))
            .collect();
        (found.len() == NODES.len()).then_some(found)
    })
}

impl Observer {
    /// The one on this node, once it is ready.
    pub fn on(cluster: &Cluster, node: &str) -> Self {
        wait::until(&format!("an observer ready on {node}"), SOON, || {
            Self::find(cluster, node)
        })
    }

    /// The one on this node, if it is ready now.
    pub fn find(cluster: &Cluster, node: &str) -> Option<Self> {
        let selector = format!("--field-selector=spec.nodeName={node}");
        let pods = cluster.list(&[
            "pods",
            "--namespace",
            NAMESPACE,
            "--selector=app.kubernetes.io/name=observer",
            &selector,
        ]);
        let pod = pods.iter().find(|pod| is_ready(pod))?;
        Some(Self::of(cluster, pod))
    }

    /// A pod that runs the observer, ready or not.
    pub fn of(cluster: &Cluster, pod: &Value) -> Self {
        static TOKEN: OnceLock<String> = OnceLock::new();
        let token = TOKEN.get_or_init(|| cluster.token(ACCOUNT.0, ACCOUNT.1));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            pod: text(&pod["metadata"]["name"]),
            uid: text(&pod["metadata"]["uid"]),
            node: text(&pod["spec"]["nodeName"]),
            address: format!("{}:9920", text(&pod["status"]["podIP"])),
            token: token.clone(),
            agent: tls::agent(),
        }
    }

    /// Status and body of an answer to the tests' own account.
    pub fn try_get(&self, path: &str) -> Result<(u16, String), String> {
        self.get_as(path, Some(&self.token))
    }

    /// Status and body of an answer to whoever shows this token.
    pub fn get_as(&self, path: &str, token: Option<&str>) -> Result<(u16, String), String> {
        tls::get(
            &self.agent,
            &format!("https://{}{path}", self.address),
            token,
        )
    }

    /// A good answer.
    pub fn get(&self, path: &str) -> String {
        match self.try_get(path) {
            Ok((200, body)) => body,
            other => panic!("GET {path} of {}: {other:?}", self.pod),
        }
    }

    /// All it exposes.
    pub fn metrics(&self) -> Exposition {
        Exposition::parse(&self.get("/metrics"))
    }

    /// `/api/v1/processes`, those of a pod's container that have not ended.
    pub fn processes(&self, namespace: &str, pod: &str, container: &str) -> Vec<Value> {
        let text = self.get("/api/v1/processes");
        let mut answer: Value =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        let list = match answer.get_mut("processes") {
            Some(list) => list.take(),
            None => answer,
        };
        let Value::Array(list) = list else {
            panic!("no list of processes: {text}");
        };
        list.into_iter()
            .filter(|process| {
                let place = &process["kubernetes"];
                process["ended"].is_null()
                    && place["namespace"] == namespace
                    && place["pod"] == pod
                    && place["container"] == container
            })
            .collect()
    }

    /// All it exposes, once the nodes were looked at after this instant.
    pub fn metrics_after(&self, instant: f64) -> Exposition {
        wait::until(&format!("a new snapshot of {}", self.pod), SOON, || {
            let metrics = self.metrics();
            let at = metrics.value("observer_snapshot_timestamp_seconds", &[]);
            at.is_some_and(|at| at > instant).then_some(metrics)
        })
    }

    /// Its process, as the machine sees it.
    pub fn process(&self) -> u32 {
        process_of(&self.uid).unwrap_or_else(|| panic!("no process of {}", self.pod))
    }

    /// What its container has logged.
    pub fn log(&self, cluster: &Cluster) -> String {
        cluster.kubectl(&["logs", "--namespace", NAMESPACE, &self.pod])
    }
}

/// Whether the pod's condition Ready is true, and nobody has deleted it.
pub fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    pod["metadata"]["deletionTimestamp"].is_null()
        && conditions.is_some_and(|all| {
            all.iter()
                .any(|one| one["type"] == "Ready" && one["status"] == "True")
        })
}

/// The observer's program in the pod of this UID, as the machine sees it.
pub fn process_of(uid: &str) -> Option<u32> {
    let mut found = fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}"));
            read("comm").is_ok_and(|name| name.trim() == "observer")
                && read("cgroup").is_ok_and(|cgroup| cgroup.contains(uid))
        });
    found.next()
}
