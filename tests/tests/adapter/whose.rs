//! Whose pods count: owners decide, and nodes that can have no observer are left
//! out.

use observer_tests::{
    cluster::{
        Adapter, Cluster, NODES, Namespace, Observer, SOON,
        burst::NEWEST,
        namespace::{burst, pod_spec},
        turn,
    },
    metrics::Exposition,
    wait,
};
use serde_json::{Value, json};

/// What the DaemonSet of the observers leaves out. A node's architecture would do
/// as well, but the kubelet sets that right at once.
const VIRTUAL: (&str, &str) = ("type", "virtual-kubelet");
const METRIC: &str = "go_goroutines";

/// A Deployment of one pod on each of these nodes; all of them have the labels
/// that every one selects.
fn deployment(name: &str, nodes: &[&str]) -> Value {
    let labels = json!({ "app": "alike" });
    let mut spec = pod_spec(None, &[burst("burst", NEWEST)]);
    spec["affinity"] = json!({
        "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [
            { "matchExpressions": [{ "key": "kubernetes.io/hostname", "operator": "In", "values": nodes }] },
        ] } },
        "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [{
            "topologyKey": "kubernetes.io/hostname",
            "labelSelector": { "matchLabels": { "one": name } },
        }] },
    });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": name },
        "spec": {
            "replicas": nodes.len(),
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": { "app": "alike", "one": name } },
                "spec": spec,
            },
        },
    })
}

/// Begins Deployments on these nodes each, and waits until all their pods run.
fn deploy(namespace: &Namespace, all: &[(&str, &[&str])]) {
    for (name, nodes) in all {
        namespace.apply(deployment(name, nodes));
    }
    for (name, _) in all {
        let name = format!("deployment/{name}");
        namespace.kubectl(&["rollout", "status", &name, "--timeout=120s"]);
    }
}

/// The value of one object, and of pods by name.
struct Asked<'a> {
    adapter: &'a Adapter,
    namespace: &'a Namespace,
}

impl Asked<'_> {
    fn path(&self, object: &str) -> String {
        format!("namespaces/{}/{object}/{METRIC}", self.namespace.name)
    }

    fn value(&self, object: &str) -> Option<u64> {
        let answer = self.adapter.ask("v1beta2", &self.path(object));
        let items = (answer.code == 200).then(|| answer.items().to_vec())?;
        items.first()?["value"].as_str()?.parse().ok()
    }

    /// Why there is no value.
    fn why(&self, object: &str) -> Option<String> {
        let answer = self.adapter.ask("v1beta2", &self.path(object));
        let message = answer.body["message"].as_str().unwrap_or_default();
        (answer.code == 404).then(|| message.to_owned())
    }

    fn pods_of(&self, deployment: &str) -> Vec<Value> {
        let mut pods = self.namespace.list("pods");
        pods.retain(|pod| pod["metadata"]["labels"]["one"] == deployment);
        pods
    }

    /// The sum of what each of these pods has by itself, once it is that of the
    /// object: programs that nobody asks stand still.
    fn await_sum(&self, object: &str, pods: &[Value]) {
        wait::until(&format!("the sum of the pods of {object}"), SOON, || {
            let of =
                |pod: &Value| self.value(&format!("pods/{}", pod["metadata"]["name"].as_str()?));
            let sum: u64 = pods.iter().map(of).sum::<Option<u64>>()?;
            (self.value(object)? == sum && sum > 0).then_some(())
        });
    }
}

#[test]
fn deployments_that_select_alike_share_no_figures() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let adapter = Adapter::get(&cluster);
    let namespace = Namespace::create(&cluster, "alike");
    deploy(&namespace, &[("one", &NODES), ("two", &NODES[..1])]);
    let asked = Asked {
        adapter: &adapter,
        namespace: &namespace,
    };
    let (one, two) = (asked.pods_of("one"), asked.pods_of("two"));
    assert_eq!((one.len(), two.len()), (2, 1));
    asked.await_sum("deployments.apps/one", &one);
    asked.await_sum("deployments.apps/two", &two);
    asked.await_sum("metrics", &[one, two].concat());
}

/// A node that says that it is no machine, until dropped.
struct Virtual<'a>(&'a Cluster, &'a str);

impl<'a> Virtual<'a> {
    fn make(cluster: &'a Cluster, node: &'a str) -> Self {
        let this = Self(cluster, node);
        let label = format!("{}={}", VIRTUAL.0, VIRTUAL.1);
        this.label(&label).expect("to label the node");
        this
    }

    fn label(&self, label: &str) -> Result<String, String> {
        self.0.try_kubectl(&["label", "node", self.1, label])
    }
}

impl Drop for Virtual<'_> {
    fn drop(&mut self) {
        let said = self.label(&format!("{}-", VIRTUAL.0));
        // A second panic would hide the first.
        if !std::thread::panicking() {
            said.expect("to label the node");
            Observer::on(self.0, self.1);
        }
    }
}

/// What a replica tells of itself.
fn figures(cluster: &Cluster, adapter: &Adapter) -> Vec<Exposition> {
    let bearer = format!("Bearer {}", cluster.token("monitoring", "prometheus"));
    let all = adapter.replicas();
    all.iter()
        .map(|replica| {
            let answer = replica.ask("/metrics", &[("Authorization", &bearer)], None);
            let answer = answer.expect("an answer");
            Exposition::parse(answer.body.as_str().expect("text"))
        })
        .collect()
}

#[test]
fn a_node_that_can_have_no_observer_is_left_out() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    let adapter = Adapter::get(&cluster);
    let namespace = Namespace::create(&cluster, "mixed");
    let [here, there] = NODES;
    deploy(&namespace, &[("both", &NODES), ("far", &[there])]);
    let asked = Asked {
        adapter: &adapter,
        namespace: &namespace,
    };
    let both = asked.pods_of("both");
    asked.await_sum("deployments.apps/both", &both);
    {
        let _virtual = Virtual::make(&cluster, there);
        let near: Vec<_> = both
            .iter()
            .filter(|pod| pod["spec"]["nodeName"] == here)
            .cloned()
            .collect();
        assert_eq!(near.len(), 1);
        asked.await_sum("deployments.apps/both", &near);
        asked.await_sum("metrics", &near);
        for object in ["deployments.apps/far", &format!("nodes/{there}")] {
            let said = wait::until("the reason", SOON, || {
                let why = asked.why(object)?;
                why.contains("can have no observer").then_some(why)
            });
            assert!(said.contains(&format!("{there} (linux/amd64")), "{said}");
        }
        wait::until("the node and its pod to be counted", SOON, || {
            // Each value counts for the replica that finds it.
            asked.value("deployments.apps/both")?;
            let all = figures(&cluster, &adapter);
            let value = |one: &Exposition, name: &str| one.value(name, &[]);
            let counted = |one| value(one, "observer_adapter_nodes_without_observer") == Some(1.0);
            let left_out = |one| value(one, "observer_adapter_pods_left_out_total");
            let left_out: f64 = all.iter().filter_map(left_out).sum();
            (all.iter().all(counted) && left_out > 0.0).then_some(())
        });
        let log = adapter.log();
        let told = log.matches("no observer can be on the node").count();
        assert!((1..=2).contains(&told), "each replica says it once: {log}");
    }
    asked.await_sum("deployments.apps/both", &both);
}
