//! The way that figures take in many clusters: Prometheus scrapes the
//! observers every 15 s, and prometheus-adapter asks it for the autoscaler.

use std::{
    env, fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use observer_tests::{
    cluster::{Cluster, SOON, api_server::ApiServer, autoscaler::condition},
    wait,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::eager::eager;

/// As deploy/prometheus has it.
pub(super) const EVERY: Duration = Duration::from_secs(15);
const PORT: u16 = 14444;
const SERVICE: &str = "prometheus-adapter";
const NAMESPACE: &str = "monitoring";
const API: &str = "v1beta1.external.metrics.k8s.io";
/// The sum over the pods of the autoscaler's namespace.
const RULES: &str = r#"
externalRules:
  - seriesQuery: 'go_goroutines{namespace!="",pod!=""}'
    metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>})'
    resources: { overrides: { namespace: { resource: namespace } } }
"#;

/// prometheus-adapter and its registration; gone when this is dropped.
pub(super) struct Path {
    process: Child,
    cluster: Cluster,
    _directory: TempDir,
}

impl Path {
    pub(super) fn open(cluster: &Cluster) -> Self {
        let this = Self::start(cluster);
        this.register();
        let path = format!("/apis/apiregistration.k8s.io/v1/apiservices/{API}");
        let api = ApiServer::administrator(cluster);
        wait::until("prometheus-adapter", SOON, || {
            let service = api.try_get(&path).ok()?.body;
            (condition(&service, "Available") == "True").then_some(())
        });
        this
    }

    fn start(cluster: &Cluster) -> Self {
        let variable = |name: &str| cluster.env(name).unwrap_or_else(|| panic!("{name}"));
        let program = env::var_os("OBSERVER_PROMETHEUS_ADAPTER").expect("run cargo xtask bench");
        let directory = tempfile::tempdir().expect("a directory");
        let rules = directory.path().join("rules.yaml");
        fs::write(&rules, RULES).expect("its rules");
        let kubeconfig = variable("KUBECONFIG");
        let mut command = Command::new(program);
        command
            .arg(format!("--secure-port={PORT}"))
            .arg(format!("--cert-dir={}", directory.path().display()))
            .arg(format!("--config={}", rules.display()))
            .arg(format!("--prometheus-url={}", variable("PROMETHEUS_URL")))
            // How soon it knows a new series; what it answers is not kept.
            .args(["--metrics-relist-interval=15s", "--metrics-max-age=1m"]);
        for client in ["lister", "authentication", "authorization"] {
            command.arg(format!("--{client}-kubeconfig={kubeconfig}"));
        }
        let log = cluster.directory().join("logs/prometheus-adapter.log");
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(log).expect("its log"))
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        Self {
            process,
            cluster: cluster.clone(),
            _directory: directory,
        }
    }

    /// It runs on node-a's network, which the API server is in.
    fn register(&self) {
        let address = self.cluster.env("NODE_A_ADDRESS").expect("its address");
        let metadata = json!({ "name": SERVICE, "namespace": NAMESPACE });
        self.cluster.apply(&json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": { "ports": [{ "port": 443, "targetPort": PORT }] },
        }));
        self.cluster.apply(&json!({
            "apiVersion": "v1", "kind": "Endpoints", "metadata": metadata,
            "subsets": [{ "addresses": [{ "ip": address }], "ports": [{ "port": PORT }] }],
        }));
        self.cluster.apply(&json!({
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": { "name": API },
            "spec": {
                "group": "external.metrics.k8s.io", "version": "v1beta1",
                "groupPriorityMinimum": 100, "versionPriority": 100,
                // It signs its certificate itself.
                "insecureSkipTLSVerify": true,
                "service": metadata,
            },
        }));
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        let place = ["--namespace", NAMESPACE];
        let _ = self.cluster.try_kubectl(&["delete", "apiservice", API]);
        let what = ["delete", "service", SERVICE];
        let _ = self
            .cluster
            .try_kubectl(&[what, [place[0], place[1], "--wait=false"]].concat());
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// As [`eager`], on what Prometheus knows of the same goroutines.
pub(super) fn by_prometheus(object: &mut Value) {
    eager(object);
    if object["kind"] == "HorizontalPodAutoscaler" {
        object["spec"]["metrics"] = json!([{
            "type": "External",
            "external": {
                "metric": { "name": "go_goroutines" },
                "target": { "type": "AverageValue", "averageValue": "100" },
            },
        }]);
    }
}
