//! Deployments that a HorizontalPodAutoscaler scales, from deploy/examples, and
//! how many replicas they had when.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    Adapter, Namespace, SOON,
    adapter::deploy,
    api_server::ApiServer,
    burst::{self, Line},
    observers::is_ready,
};
use crate::wait;

/// Seconds between two looks of the test cluster's autoscaler.
pub const SYNC: Duration = Duration::from_secs(5);
/// The windows and periods of the examples are for production; tests divide
/// them by this, and nothing else.
pub const FASTER: u64 = 20;
/// Name of the Deployment and of its autoscaler.
const NAME: &str = "burst";
const POLL: Duration = Duration::from_millis(100);

/// A Deployment of the burst service and its autoscaler, in a namespace of its
/// own. Deleted when dropped.
#[derive(Debug)]
pub struct Scaled {
    /// Where it is.
    pub namespace: Namespace,
    api: ApiServer,
}

impl Scaled {
    /// Applies an example but for its seconds and its namespace, after one more
    /// change of its objects.
    pub fn example(adapter: &Adapter, name: &str, change: impl Fn(&mut Value)) -> Self {
        Self::faster(adapter, name, FASTER, change)
    }

    /// As [`Self::example`], with its seconds divided by this.
    pub fn faster(adapter: &Adapter, name: &str, times: u64, change: impl Fn(&mut Value)) -> Self {
        let namespace = Namespace::create(&adapter.cluster, name);
        let path = deploy(&format!("examples/{name}"));
        let text = adapter.cluster.kubectl(&["kustomize", &path]);
        let objects: Vec<Value> =
            serde_saphyr::from_multiple(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        for mut object in objects {
            if object["kind"] == "Namespace" {
                continue;
            }
            if object["kind"] == "HorizontalPodAutoscaler" {
                let text = object.to_string();
                let of = format!(r#""kind":"Namespace","name":"{NAME}""#);
                let own = format!(r#""kind":"Namespace","name":"{}""#, namespace.name);
                object = serde_json::from_str(&text.replace(&of, &own)).expect("an autoscaler");
            }
            change(&mut object);
            if object["kind"] == "HorizontalPodAutoscaler" {
                hurry(&mut object, times);
            }
            namespace.apply(object);
        }
        Self {
            namespace,
            api: adapter.api.clone(),
        }
    }

    fn path(&self, group: &str, resource: &str) -> String {
        format!(
            "/apis/{group}/namespaces/{}/{resource}/{NAME}",
            self.namespace.name
        )
    }

    /// How many replicas are wanted now; `None` while nobody can be asked.
    pub fn replicas(&self) -> Option<u64> {
        let answer = self.api.try_get(&self.path("apps/v1", "deployments"));
        answer.ok()?.body["spec"]["replicas"].as_u64()
    }

    /// The autoscaler as it is now.
    pub fn autoscaler(&self) -> Value {
        self.api
            .get(&self.path("autoscaling/v2", "horizontalpodautoscalers"))
    }

    /// Waits until the autoscaler scales on all of its metrics.
    pub fn await_active(&self) {
        let all = self.autoscaler()["spec"]["metrics"].take();
        self.await_known(all.as_array().expect("metrics").len());
    }

    /// Waits until it scales on one of them.
    pub fn await_first(&self) {
        self.await_known(1);
    }

    fn await_known(&self, least: usize) {
        let path = self.path("autoscaling/v2", "horizontalpodautoscalers");
        self.api.await_get(&path, |autoscaler| {
            let known = autoscaler["status"]["currentMetrics"].as_array()?;
            let known = known.iter().filter(|one| has_value(one)).count();
            (known >= least && condition(autoscaler, "ScalingActive") == "True").then_some(())
        });
    }

    /// Waits until as many pods are ready as are wanted, and at least so many.
    pub fn await_ready(&self, least: usize) -> Vec<String> {
        wait::until(
            &format!("{least} pods in {}", self.namespace.name),
            SOON,
            || {
                let pods = self.pods();
                let wanted = self.replicas()? as usize;
                let ready = pods.iter().filter(|pod| is_ready(pod));
                let addresses: Vec<_> = ready
                    .filter_map(|pod| Some(pod["status"]["podIP"].as_str()?.to_owned()))
                    .collect();
                (addresses.len() == wanted && wanted >= least).then_some(addresses)
            },
        )
    }

    /// Its pods as they are now.
    pub fn pods(&self) -> Vec<Value> {
        self.finder()()
    }

    /// Finds its pods, for another thread; none while nobody can be asked.
    pub fn finder(&self) -> impl Fn() -> Vec<Value> + Send + use<> {
        let path = format!("/api/v1/namespaces/{}/pods", self.namespace.name);
        let api = self.api.clone();
        move || match api.try_get(&path) {
            Ok(answer) if answer.code == 200 => answer.items().to_vec(),
            _ => Vec::new(),
        }
    }

    /// Starts to note how many replicas there are.
    pub fn watch(&self) -> Replicas {
        Replicas::watch(self.api.clone(), self.path("apps/v1", "deployments"))
    }
}

/// Asks each of these pods, for example for `/leak?n=100`.
pub fn ask_all(addresses: &[String], path: &str) -> Vec<Line> {
    addresses.iter().map(|ip| burst::ask(ip, path)).collect()
}

/// Divides the seconds of an autoscaler's behavior.
fn hurry(autoscaler: &mut Value, times: u64) {
    for direction in ["scaleUp", "scaleDown"] {
        let rules = &mut autoscaler["spec"]["behavior"][direction];
        let divide = |seconds: &mut Value| {
            if let Some(of) = seconds.as_u64() {
                // Of a policy's period nothing shorter than a second is allowed.
                *seconds = json!(of.div_ceil(times));
            }
        };
        divide(&mut rules["stabilizationWindowSeconds"]);
        let policies = rules["policies"].as_array_mut().into_iter().flatten();
        policies.for_each(|policy| divide(&mut policy["periodSeconds"]));
    }
}

fn has_value(metric: &Value) -> bool {
    let kind = metric["type"].as_str().unwrap_or_default().to_lowercase();
    metric[&kind]["current"]
        .as_object()
        .is_some_and(|current| !current.is_empty())
}

/// The status of a condition; empty where nothing is said of it.
pub fn condition<'a>(object: &'a Value, name: &str) -> &'a str {
    let all = object["status"]["conditions"].as_array();
    all.and_then(|all| all.iter().find(|one| one["type"] == name))
        .and_then(|one| one["status"].as_str())
        .unwrap_or_default()
}

/// A number of replicas and since when.
pub type Change = (Instant, u64);

/// How many replicas a Deployment had when.
#[derive(Debug)]
pub struct Replicas {
    changes: Arc<Mutex<Vec<Change>>>,
    over: Arc<AtomicBool>,
    watcher: Option<JoinHandle<()>>,
}

impl Replicas {
    fn watch(api: ApiServer, path: String) -> Self {
        let changes = Arc::new(Mutex::new(Vec::<Change>::new()));
        let over = Arc::new(AtomicBool::new(false));
        let (noted, ended) = (Arc::clone(&changes), Arc::clone(&over));
        let watcher = thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                // The API server may be away, on purpose.
                let answer = api.try_get(&path).ok();
                if let Some(replicas) = answer.and_then(|it| it.body["spec"]["replicas"].as_u64()) {
                    let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
                    if noted.last().is_none_or(|(_, last)| *last != replicas) {
                        noted.push((Instant::now(), replicas));
                    }
                }
                thread::sleep(POLL);
            }
        });
        let this = Self {
            changes,
            over,
            watcher: Some(watcher),
        };
        wait::until("a first number of replicas", SOON, || this.all().pop());
        this
    }

    /// Every number so far, the first of them what it began with.
    pub fn all(&self) -> Vec<Change> {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.clone()
    }

    /// The numbers alone.
    pub fn numbers(&self) -> Vec<u64> {
        self.all()
            .into_iter()
            .map(|(_, replicas)| replicas)
            .collect()
    }

    /// When there were first at least so many.
    pub fn await_at_least(&self, replicas: u64, within: Duration) -> Instant {
        self.await_one(&format!("{replicas} or more"), within, |it| it >= replicas)
    }

    /// When there were last no more than so many.
    pub fn await_at_most(&self, replicas: u64, within: Duration) -> Instant {
        self.await_one(&format!("{replicas} or fewer"), within, |it| it <= replicas)
    }

    fn await_one(&self, what: &str, within: Duration, is_it: impl Fn(u64) -> bool) -> Instant {
        let found = wait::find(within, || {
            self.all().pop().filter(|(_, replicas)| is_it(*replicas))
        });
        let (at, _) = found.unwrap_or_else(|| {
            panic!(
                "{what} replicas: not within {within:?}: {:?}",
                self.numbers()
            )
        });
        at
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(watcher) = self.watcher.take() {
            let _ = watcher.join();
        }
    }
}
