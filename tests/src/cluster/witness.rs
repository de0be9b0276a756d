//! A pod whose figures are known and stand still, so that whatever an observer
//! shows of it is either right, or missing, or wrong.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Cluster, Namespace, Observer, burst, namespace, now};
use crate::{metrics::Exposition, wait};

/// Name of the container.
const CONTAINER: &str = "witness";
/// How often it is looked at while something is awaited.
const POLL: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Debug)]
pub struct Witness {
    /// Where it is.
    pub namespace: String,
    /// Name of its pod.
    pub pod: String,
    /// Its node.
    pub node: String,
    /// Goroutines it has.
    goroutines: f64,
    /// Goroutines it ever had.
    created: f64,
}

impl Witness {
    /// Starts it on a node and lets it have `leaked` more goroutines than a
    /// program that does nothing.
    pub fn start(namespace: &Namespace, node: &str, leaked: u32) -> Self {
        let pod = format!("witness-{leaked}");
        namespace.apply(still(&pod, Some(node)));
        let address = address(namespace, &pod);
        Self::of(
            &namespace.cluster,
            &namespace.name,
            &pod,
            node,
            &address,
            leaked,
        )
    }

    /// A pod that runs already.
    pub fn of(
        cluster: &Cluster,
        namespace: &str,
        pod: &str,
        node: &str,
        address: &str,
        leaked: u32,
    ) -> Self {
        let said = burst::ask(address, &format!("/leak?n={leaked}"));
        // What answered the request ends with it.
        let most = said.num_goroutine as f64;
        let observer = Observer::on(cluster, node);
        let mut this = Self {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            node: node.to_owned(),
            goroutines: 0.0,
            created: 0.0,
        };
        std::thread::sleep(Duration::from_secs(1));
        // At rest: in two snapshots, one after the other, they are the same.
        let mut last = None;
        let what = format!("{pod} with {most} goroutines, of which three at most answered");
        (this.goroutines, this.created) = wait::until(&what, super::SOON, || {
            let metrics = observer.metrics_after(now());
            let created = "go_sched_goroutines_created_goroutines_total";
            let shown = this
                .shown(&metrics, "go_goroutines")
                .zip(this.shown(&metrics, created));
            let rests = std::mem::replace(&mut last, shown) == shown;
            shown.filter(|(live, _)| rests && *live <= most && *live >= most - 3.0)
        });
        this
    }

    fn shown(&self, metrics: &Exposition, name: &str) -> Option<f64> {
        let labels = [
            ("namespace", self.namespace.as_str()),
            ("pod", &self.pod),
            ("container", CONTAINER),
        ];
        metrics.value(name, &labels)
    }

    /// Whether the figures are there; panics where they are wrong.
    pub fn is_shown(&self, metrics: &Exposition) -> bool {
        let Some(goroutines) = self.shown(metrics, "go_goroutines") else {
            return false;
        };
        assert!(
            (goroutines - self.goroutines).abs() < 0.5,
            "{}: {goroutines} goroutines shown, it has {}",
            self.pod,
            self.goroutines
        );
        let created = self.shown(metrics, "go_sched_goroutines_created_goroutines_total");
        // The runtime itself may start a helper.
        assert!(
            created.is_some_and(|it| it >= self.created && it <= self.created + 8.0),
            "{}: {created:?} goroutines created shown, it had {}",
            self.pod,
            self.created
        );
        true
    }

    /// Waits until an observer on its node shows it, and holds every answer
    /// until then against what is true. How long it took.
    pub fn await_shown(&self, cluster: &Cluster, within: Duration) -> Duration {
        let begin = Instant::now();
        let mut observer = Observer::find(cluster, &self.node);
        let shown = wait::comes_true(within, || {
            let answer = observer.as_ref().map(|it| it.try_get("/metrics"));
            if let Some(Ok((200, text))) = answer {
                return self.is_shown(&Exposition::parse(&text));
            }
            std::thread::sleep(POLL);
            // Another pod may have taken its place.
            observer = Observer::find(cluster, &self.node);
            false
        });
        assert!(shown, "{} is not shown within {within:?}", self.pod);
        begin.elapsed()
    }
}

/// A pod that nothing asks, so that it stands still.
pub fn still(name: &str, node: Option<&str>) -> Value {
    let mut container = namespace::burst(CONTAINER, burst::NEWEST);
    if let Some(object) = container.as_object_mut() {
        object.remove("readinessProbe");
    }
    // The runtime collects every two minutes, which may start its workers.
    container["env"] = json!([{ "name": "GOGC", "value": "off" }]);
    namespace::pod(name, node, &[container])
}

/// A pod's address, once it answers there.
pub fn address(namespace: &Namespace, pod: &str) -> String {
    let pod = namespace.ready(pod);
    let address = pod["status"]["podIP"].as_str().expect("an address");
    wait::until("an answer of the pod", super::SOON, || {
        std::net::TcpStream::connect((address, 8080)).ok()
    });
    address.to_owned()
}
