//! Demand that comes and goes: an example against a plain autoscaler on CPU
//! with the defaults of Kubernetes. Both divide their seconds by [`TIMES`], and
//! nothing else. The demand is the same for both and does not depend on how
//! many pods there are: callers go on asking whichever pods are ready.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use observer_tests::{
    cluster::{Adapter, autoscaler::Scaled, burst, observers::is_ready, say},
    wait,
};
use serde_json::{Value, json};

use super::load::LEAST;

/// Less than elsewhere, since how old CPU figures are is not divided: the
/// kubelet's and metrics-server's together are half a minute at times.
const TIMES: u64 = 12;
/// Callers of each Deployment: half a CPU and as much garbage as eight pods
/// are meant to make, and five pods' goroutines.
const CALLERS: [&str; 5] = [
    "/alloc?mb=150&seconds=1",
    "/alloc?mb=150&seconds=1",
    "/alloc?mb=150&seconds=1",
    "/alloc?mb=150&seconds=1",
    "/burst?n=500&block=1s",
];
/// What both may have at most, and reach while there is demand.
const HIGH: u64 = 8;
/// For what the plain one does. Its figures are late, and it waits for
/// 300 s / [`TIMES`] before it takes replicas away.
const WITHIN: Duration = Duration::from_secs(180);

pub(super) fn run(adapter: &Adapter) {
    let ours = Scaled::faster(adapter, "hpa-several", TIMES, |_| ());
    let plain = Scaled::faster(adapter, "hpa-pods", TIMES, by_cpu_alone);
    let both = [&ours, &plain];
    for scaled in both {
        scaled.await_active();
        scaled.await_ready(LEAST as usize);
    }
    let [ours_had, plain_had] = both.map(Scaled::watch);
    let demand = both.map(Demand::of);
    let set = |wanted| {
        for one in &demand {
            one.set(wanted);
        }
    };
    let rise = |what: &str| {
        set(true);
        let since = Instant::now();
        ours_had.await_at_least(HIGH, WITHIN);
        plain_had.await_at_least(HIGH, WITHIN);
        say(&format!(
            "{what} for {:.0} s",
            since.elapsed().as_secs_f64()
        ));
    };
    rise("demand");
    set(false);
    let since = Instant::now();
    // As long a lull as makes the plain one let go of what it has.
    plain_had.await_at_most(LEAST, WITHIN);
    say(&format!("none for {:.0} s", since.elapsed().as_secs_f64()));
    rise("demand again");
    drop(demand);
    let (ours, plain) = (ours_had.numbers(), plain_had.numbers());
    let (moved, plainly) = (ours.len() - 1, plain.len() - 1);
    say(&format!(
        "replicas while demand came and went: {ours:?}, {moved} changes; by CPU alone with the \
         defaults {plain:?}, {plainly} changes"
    ));
    assert!(ours.is_sorted(), "it flapped: {ours:?}");
    assert!(!plain.is_sorted(), "no lull at all: {plain:?}");
    assert!(moved < plainly, "{ours:?} against {plain:?}");
}

/// Leaves CPU alone, and the behavior that an autoscaler has by default.
fn by_cpu_alone(object: &mut Value) {
    if object["kind"] != "HorizontalPodAutoscaler" {
        return;
    }
    let metrics = object["spec"]["metrics"].as_array_mut().expect("metrics");
    metrics.retain(|metric| metric["type"] == "Resource");
    assert_eq!(metrics.len(), 1, "its fallback");
    // Spelled out, or its seconds could not be divided.
    object["spec"]["behavior"] = json!({
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "policies": [
                { "type": "Percent", "value": 100, "periodSeconds": 15 },
                { "type": "Pods", "value": 4, "periodSeconds": 15 },
            ],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": 300,
            "policies": [{ "type": "Percent", "value": 100, "periodSeconds": 15 }],
        },
    });
}

/// [`CALLERS`] of a Deployment, of whichever pods it has. They end when this is
/// dropped.
struct Demand {
    shared: Arc<Shared>,
    callers: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    wanted: AtomicBool,
    ready: Mutex<Vec<String>>,
}

impl Demand {
    /// None yet.
    fn of(scaled: &Scaled) -> Self {
        let shared = Arc::new(Shared::default());
        let mut callers = Vec::new();
        for (n, path) in CALLERS.into_iter().enumerate() {
            let shared = Arc::clone(&shared);
            callers.push(thread::spawn(move || shared.call(n, path)));
        }
        let (finding, found) = (scaled.finder(), Arc::clone(&shared));
        callers.push(thread::spawn(move || {
            while !found.over.load(Ordering::Relaxed) {
                let ready = finding().into_iter().filter(is_ready);
                let ready =
                    ready.filter_map(|pod| Some(pod["status"]["podIP"].as_str()?.to_owned()));
                *found.ready.lock().expect("nobody panics with it") = ready.collect();
                thread::sleep(Duration::from_millis(500));
            }
        }));
        wait::until("ready pods", WITHIN, || {
            let ready = shared.ready.lock().expect("nobody panics with it");
            (!ready.is_empty()).then_some(())
        });
        Self { shared, callers }
    }

    fn set(&self, wanted: bool) {
        self.shared.wanted.store(wanted, Ordering::Relaxed);
    }
}

impl Shared {
    /// Calls one pod after the other, without a pause.
    fn call(&self, mut turn: usize, path: &str) {
        while !self.over.load(Ordering::Relaxed) {
            let address = {
                let ready = self.ready.lock().expect("nobody panics with it");
                ready.get(turn % ready.len().max(1)).cloned()
            };
            turn += 1;
            let wanted = self.wanted.load(Ordering::Relaxed);
            let asked = address
                .filter(|_| wanted)
                .map(|at| burst::try_ask(&at, path));
            // A pod may have gone meanwhile; another is asked then.
            if !matches!(asked, Some(Ok(_))) {
                thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

impl Drop for Demand {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        for caller in self.callers.drain(..) {
            let _ = caller.join();
        }
    }
}
