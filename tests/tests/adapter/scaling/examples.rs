//! Each example: a burst, and its end.

use std::{
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use observer_tests::cluster::{
    Adapter,
    autoscaler::{Change, SYNC, Scaled},
    burst, say,
};
use serde_json::{Value, json};

use super::{
    boards,
    load::{LEAST, Load},
};

/// Until the number has fallen from eight by one and one.
const FALL: Duration = Duration::from_secs(240);
/// What scaleDown.stabilizationWindowSeconds of the examples is here.
const STABLE: Duration = Duration::from_secs(15);

/// An example, and the load that it scales on.
#[derive(Clone, Copy)]
struct Example {
    name: &'static str,
    /// Begins it in one pod.
    begin: &'static str,
    /// Ends it; where there is none the request is made again and again.
    end: Option<&'static str>,
    /// Replicas that the load asks for.
    wanted: u64,
    /// Whether it scales on a mean over a window.
    smoothed: bool,
}

/// Of two pods, so that twice 235 goroutines ask for five of a hundred each.
const LEAK: &str = "/leak?n=235";
const STOP: Option<&str> = Some("/leak/stop");
const EXAMPLES: [Example; 5] = [
    Example {
        name: "hpa-pods",
        begin: LEAK,
        end: STOP,
        wanted: 5,
        smoothed: false,
    },
    // Some thousands per second: as many as are allowed.
    Example {
        name: "hpa-deployment",
        begin: "/burst?n=500&block=50ms",
        end: None,
        wanted: 6,
        smoothed: false,
    },
    Example {
        name: "hpa-namespace",
        begin: LEAK,
        end: STOP,
        wanted: 5,
        smoothed: true,
    },
    Example {
        name: "hpa-node",
        begin: LEAK,
        end: STOP,
        wanted: 5,
        smoothed: false,
    },
    Example {
        name: "hpa-several",
        begin: LEAK,
        end: STOP,
        wanted: 5,
        smoothed: true,
    },
];

/// What was seen of one example.
struct Seen {
    name: &'static str,
    up: Duration,
    numbers: Vec<u64>,
}

/// Every example, `hpa-pods` first; each is there until dropped.
pub(super) fn run(adapter: &Adapter) -> Vec<Scaled> {
    let running = EXAMPLES.map(|example| {
        let adapter = adapter.clone();
        let name = example.name.to_owned();
        let thread = thread::Builder::new().name(name);
        thread
            .spawn(move || one(&adapter, example))
            .expect("a thread")
    });
    let ended: Vec<_> = running.into_iter().map(JoinHandle::join).collect();
    let mut all = Vec::new();
    for seen in ended {
        let (scaled, seen) = seen.expect("the example, whose panic is above");
        all.push(scaled);
        say(&format!(
            "{}: first replica {:.1} s after the burst; replicas {:?}",
            seen.name,
            seen.up.as_secs_f64(),
            seen.numbers
        ));
    }
    all
}

fn one(adapter: &Adapter, example: Example) -> (Scaled, Seen) {
    let scaled = Scaled::example(adapter, example.name, |object| on_one_node(object, example));
    scaled.await_active();
    let pods = scaled.await_ready(LEAST as usize);
    if example.name == EXAMPLES[0].name {
        boards::Stage::await_scraped(&adapter.cluster, &scaled.namespace.name, LEAST);
    }
    assert_eq!(pods.len() as u64, LEAST, "{}", example.name);
    let replicas = scaled.watch();
    let mut load = None;
    if example.end.is_some() {
        for pod in &pods {
            burst::ask(pod, example.begin);
        }
    } else {
        load = Some(Load::on(&pods, example.begin));
    }
    let burst = Instant::now();
    // Two looks, the age of a figure, and what a busy machine takes, on which a look may
    // come late. A mean of fifteen seconds passes its target half of them later.
    let looks = if example.smoothed { 5 } else { 2 };
    let within = SYNC * looks + Duration::from_secs(12) + window(&scaled);
    let first = replicas.await_at_least(LEAST + 1, within);
    replicas.await_at_least(example.wanted, SYNC * 16);
    drop(load);
    if let Some(end) = example.end {
        for pod in &pods {
            burst::ask(pod, end);
        }
    }
    let end = Instant::now();
    replicas.await_at_most(LEAST, FALL);
    let changes = replicas.all();
    by_policy(example.name, &changes, end);
    let seen = Seen {
        name: example.name,
        up: first.duration_since(burst),
        numbers: replicas.numbers(),
    };
    (scaled, seen)
}

/// How long the autoscaler looks back before it adds replicas.
fn window(scaled: &Scaled) -> Duration {
    let rules = scaled.autoscaler()["spec"]["behavior"]["scaleUp"].take();
    Duration::from_secs(rules["stabilizationWindowSeconds"].as_u64().unwrap_or(0))
}

/// The example of a node is about what runs on that node, and other programs'
/// containers there have the same name unless this one has its own.
fn on_one_node(object: &mut Value, example: Example) {
    if example.name != "hpa-node" {
        return;
    }
    let own = "one-node";
    if object["kind"] == "Deployment" {
        let spec = &mut object["spec"]["template"]["spec"];
        spec["nodeSelector"] = json!({ "kubernetes.io/hostname": "node-a" });
        spec["containers"][0]["name"] = json!(own);
    } else if object["kind"] == "HorizontalPodAutoscaler" {
        let metric = &mut object["spec"]["metrics"][0]["object"]["metric"];
        metric["selector"]["matchLabels"]["container"] = json!(own);
    }
}

/// Not before the window is over, and a tenth at a time, which of eight at most
/// is one.
fn by_policy(name: &str, changes: &[Change], end: Instant) {
    let peak = changes.iter().map(|(_, replicas)| *replicas).max();
    let peak_at = changes
        .iter()
        .rposition(|(_, replicas)| Some(*replicas) == peak);
    let (rise, fall) = changes.split_at(peak_at.map_or(0, |at| at + 1));
    assert!(
        rise.is_sorted_by_key(|(_, replicas)| *replicas),
        "{name}: {changes:?}"
    );
    let (first, _) = fall.first().expect("a fall");
    // Until then a look within the window had seen the load.
    let waited = first.saturating_duration_since(end);
    assert!(
        waited + SYNC + Duration::from_secs(1) >= STABLE,
        "{name}: fell after {waited:?}"
    );
    let mut before = peak.expect("a peak");
    for (_, replicas) in fall {
        assert_eq!(*replicas, before - 1, "{name}: {changes:?}");
        before = *replicas;
    }
}
