//! The API server goes away and comes back.

use std::{
    env, fs,
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use observer_tests::{
    cluster::{
        Cluster, Namespace, Observer, SOON, turn,
        witness::{Witness, still},
    },
    metrics::Exposition,
    wait,
};
use serde_json::json;

use super::{NODE, restarts, tell};

/// How long it is away, in seconds.
const AWAY: &str = "OBSERVER_TEST_AWAY";
/// A connection on this machine.
const AT_ONCE: Duration = Duration::from_millis(200);
const UNLABELLED: &str = "observer_unattributed_containers";

/// A pod that the kubelet starts without asking anybody. Removed when dropped.
struct Static(PathBuf);

impl Static {
    fn create(cluster: &Cluster, namespace: &str, name: &str) -> Self {
        let directory = cluster.env("NODE_A_MANIFESTS").expect("its directory");
        let mut pod = still(name, None);
        pod["metadata"]["namespace"] = json!(namespace);
        // What only the API server could tell has no place here.
        let spec = pod["spec"].as_object_mut().expect("a spec");
        spec.remove("volumes");
        // The kubelet must not find half of it.
        let file = PathBuf::from(directory).join(format!("{name}.json"));
        let part = cluster.directory().join(format!("{name}.part"));
        fs::write(&part, pod.to_string()).expect("a manifest");
        fs::rename(&part, &file).expect("a manifest in its place");
        Self(file)
    }
}

impl Drop for Static {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn without_labels(metrics: &Exposition) -> f64 {
    metrics.value(UNLABELLED, &[]).expect("a count")
}

#[test]
fn observing_goes_on_while_the_api_server_is_away() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    let away = env::var(AWAY).map_or(20, |text| text.parse().expect("seconds"));
    let away = Duration::from_secs(away);
    let namespace = Namespace::create(&cluster, "away");
    let witness = Witness::start(&namespace, NODE, 107);
    let observer = Observer::on(&cluster, NODE);
    let before = restarts(&cluster, &observer.pod);
    let metrics = observer.metrics();
    assert!(witness.is_shown(&metrics));
    let baseline = without_labels(&metrics);

    cluster.xtask(&["stop", "kube-apiserver"]);
    let gone = Instant::now();
    let static_pod = Static::create(&cluster, &namespace.name, "static");
    wait::until("/readyz tells of it", SOON, || {
        let (status, text) = observer.try_get("/readyz").expect("an answer");
        assert_eq!(status, 200, "{text}");
        text.contains("API server:").then_some(())
    });
    let mut unlabelled = None;
    while gone.elapsed() < away || unlabelled.is_none() {
        // Who was allowed lately is served, and every label stays.
        let metrics = observer.metrics();
        assert!(witness.is_shown(&metrics), "while the API server is away");
        if unlabelled.is_none() && without_labels(&metrics) > baseline {
            unlabelled = Some(gone.elapsed());
        }
        assert!(
            gone.elapsed() < away + SOON,
            "the static pod is not observed; without labels: {:?}",
            without_labels(&metrics)
        );
        thread::sleep(Duration::from_millis(250));
    }
    // Who may be observed, nobody can tell of it yet.
    let metrics = observer.metrics();
    let held = metrics.value("observer_processes_excluded", &[("reason", "pod_unknown")]);
    assert!(held.is_some_and(|held| held >= 1.0), "{held:?}");
    // Whom nobody can tell of is not.
    let stranger = observer.get_as("/metrics", Some("stranger"));
    assert_eq!(stranger.map(|(status, _)| status), Ok(503));

    cluster.xtask(&["start", "kube-apiserver"]);
    let back = Instant::now();
    let metrics = || {
        let metrics = observer.metrics();
        assert!(witness.is_shown(&metrics), "after the API server came back");
        metrics
    };
    let mut reached = None;
    wait::until("pods watched again", SOON, || {
        // By the Service's address, as pods do.
        let service = SocketAddr::from(([10, 203, 0, 1], 443));
        if reached.is_none() && TcpStream::connect_timeout(&service, AT_ONCE).is_ok() {
            reached = Some(back.elapsed());
        }
        metrics()
            .value("observer_kube_watch_up", &[])
            .filter(|up| *up > 0.5)
    });
    let recovery = back.elapsed();
    // Where it came to lead there between the two looks, it was just then.
    let reached = reached.unwrap_or(recovery);
    assert!(
        recovery < reached + Duration::from_secs(20),
        "{recovery:?} after it was back, {reached:?} of it without a way to it"
    );
    // Left alone, the kubelet tells of the pod a minute later.
    cluster.xtask(&["stop", "kubelet-node-a"]);
    cluster.xtask(&["start", "kubelet-node-a"]);
    let name = format!("static-{NODE}");
    let of = [("namespace", namespace.name.as_str()), ("pod", &name)];
    wait::until("labels of the pod that came meanwhile", SOON, || {
        metrics().value("go_goroutines", &of)
    });
    let (_, text) = observer.try_get("/readyz").expect("an answer");
    assert!(!text.contains("API server:"), "{text}");
    assert_eq!(restarts(&cluster, &observer.pod), before);
    drop(static_pod);
    let unlabelled = unlabelled.expect("it was seen").as_secs_f64();
    tell(
        &format!("the API server is away for {} s", away.as_secs()),
        &format!(
            "every figure with its labels; known callers served, unknown ones 503; /readyz tells of it; \
             a static pod is found {unlabelled:.1} s after, and observed once the kubelet has told of it; \
             kube-proxy leads to the server again after {:.1} s",
            reached.as_secs_f64()
        ),
        recovery,
    );
}
