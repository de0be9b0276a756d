//! The adapter, installed as users install it.

use std::{net::IpAddr, path::Path, sync::Once};

use serde_json::Value;
use ureq::tls::{Certificate, ClientCert, PrivateKey};

use super::{
    Cluster, NAMESPACE, SOON,
    api_server::{Answer, ApiServer},
    observers::is_ready,
    tls,
};
use crate::wait;

/// Both versions of the API.
pub const VERSIONS: [&str; 2] = ["v1beta1", "v1beta2"];
const GROUP: &str = "custom.metrics.k8s.io";
const SELECTOR: &str = "--selector=app.kubernetes.io/name=observer-adapter";

/// The adapter behind the API server.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// The API server, as its administrator.
    pub api: ApiServer,
    /// Where it is.
    pub cluster: Cluster,
}

/// One of its replicas, asked without the API server in between.
#[derive(Clone, Debug)]
pub struct Replica {
    /// Name of its pod.
    pub pod: String,
    /// UID of its pod.
    pub uid: String,
    /// Its node.
    pub node: String,
    /// Its address.
    pub address: IpAddr,
}

impl Adapter {
    /// The one that runs, once it serves; the first call installs it.
    pub fn get(cluster: &Cluster) -> Self {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            cluster.kubectl(&["apply", "-k", &deploy("adapter")]);
            cluster.kubectl(&rollout("deployment/observer-adapter"));
            cluster.kubectl(&rollout("daemonset/observer"));
        });
        let this = Self {
            api: ApiServer::administrator(cluster),
            cluster: cluster.clone(),
        };
        this.await_available();
        this
    }

    /// What all of its replicas have logged.
    pub fn log(&self) -> String {
        let args = ["logs", "deployment/observer-adapter", "--all-pods"];
        let args = [args.as_slice(), &["--namespace", NAMESPACE]].concat();
        // Of a pod that just begins or ends there is none.
        wait::until("the adapter's log", SOON, || {
            self.cluster.try_kubectl(&args).ok()
        })
    }

    /// Waits until the aggregator leads to it.
    pub fn await_available(&self) {
        for version in VERSIONS {
            wait::until(&format!("{version} available"), SOON, || {
                self.availability(version).is_ok().then_some(())
            });
        }
    }

    /// Whether the aggregator takes it for available, else why not.
    pub fn availability(&self, version: &str) -> Result<(), String> {
        self.availability_of(&format!("{version}.{GROUP}"))
    }

    /// As [`Self::availability`], of an APIService by its name.
    pub fn availability_of(&self, name: &str) -> Result<(), String> {
        let path = format!("/apis/apiregistration.k8s.io/v1/apiservices/{name}");
        let service = self.api.try_get(&path)?;
        let conditions = service.body["status"]["conditions"].as_array();
        let available = conditions
            .and_then(|all| all.iter().find(|one| one["type"] == "Available"))
            .ok_or("no word of it")?;
        if available["status"] == "True" {
            return Ok(());
        }
        Err(available.to_string())
    }

    /// What is below `/apis/custom.metrics.k8s.io/VERSION/`.
    pub fn ask(&self, version: &str, path: &str) -> Answer {
        self.api.ask(&Self::path(version, path))
    }

    /// As [`Self::ask`], while parts may fail.
    pub fn try_ask(&self, version: &str, path: &str) -> Result<Answer, String> {
        self.api.try_get(&Self::path(version, path))
    }

    /// The full path.
    pub fn path(version: &str, path: &str) -> String {
        format!("/apis/{GROUP}/{version}/{path}")
    }

    /// Its pods.
    pub fn pods(&self) -> Vec<Value> {
        self.cluster
            .list(&["pods", "--namespace", NAMESPACE, SELECTOR])
    }

    /// Its replicas that are ready, two of them.
    pub fn replicas(&self) -> Vec<Replica> {
        wait::until("two replicas of the adapter", SOON, || {
            let pods = self.pods();
            let ready: Vec<_> = pods.iter().filter(|pod| is_ready(pod)).collect();
            let there = pods.len() == 2 && ready.len() == 2;
            there.then(|| ready.into_iter().map(Replica::of).collect())
        })
    }
}

impl Replica {
    fn of(pod: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let address = text(&pod["status"]["podIP"]);
        Self {
            pod: text(&pod["metadata"]["name"]),
            uid: text(&pod["metadata"]["uid"]),
            node: text(&pod["spec"]["nodeName"]),
            address: address.parse().expect("an address"),
        }
    }

    /// The answer to a caller with these headers and this certificate.
    pub fn ask(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        identity: Option<&Identity>,
    ) -> Result<Answer, String> {
        let agent = tls::agent_of(identity.map(Identity::client));
        let url = format!("https://{}:6443{path}", self.address);
        tls::get_with(&agent, &url, headers).map(Answer::of)
    }
}

/// A client certificate and its key, as PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Identity {
    fn client(&self) -> ClientCert {
        let certificate = Certificate::from_pem(self.certificate.as_bytes());
        let key = PrivateKey::from_pem(self.key.as_bytes());
        ClientCert::new_with_certs(
            &[certificate.expect("a certificate")],
            key.expect("its key"),
        )
    }
}

/// A path below deploy/.
pub fn deploy(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    root.join(path).to_string_lossy().into_owned()
}

fn rollout(what: &str) -> [&str; 5] {
    [
        "rollout",
        "status",
        what,
        "--namespace=go-observer",
        "--timeout=120s",
    ]
}
