//! Asks for the values of all pods all the time, and notes what comes.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use observer_tests::cluster::{Adapter, autoscaler::Scaled, now};
use serde_json::Value;

const POLL: Duration = Duration::from_millis(50);
/// How old a value may be, whatever fails: five intervals of the observers.
pub(super) const OLDEST: Duration = Duration::from_secs(5);
/// What answering the kubelet's probes takes for a moment.
const PROBED: f64 = 6.0;

/// What came while something was wrong.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Answers with the values of all pods.
    pub(super) whole: u32,
    /// Answers with those of some.
    pub(super) partial: u32,
    /// Errors, and answers with none.
    pub(super) none: u32,
    /// The longest time between two whole ones.
    pub(super) gap: Duration,
}

/// Values by pod, each with its timestamp.
pub(super) type Values = BTreeMap<String, (f64, i64)>;

/// Where the values of a Deployment's pods are.
#[derive(Clone, Debug)]
pub(super) struct Source {
    adapter: Adapter,
    path: String,
}

impl Source {
    pub(super) fn of(adapter: &Adapter, scaled: &Scaled) -> Self {
        Self {
            adapter: adapter.clone(),
            path: format!("namespaces/{}/pods/*/go_goroutines", scaled.namespace.name),
        }
    }

    /// The values of now, if there are any.
    pub(super) fn values(&self) -> Option<Values> {
        let answer = self.adapter.try_ask("v1beta2", &self.path).ok()?;
        (answer.code == 200).then(|| answer.items().iter().map(read).collect())
    }

    /// Starts to ask; whatever is told must be as it was, and of late.
    pub(super) fn probe(&self, right: &Values) -> Probe {
        let over = Arc::new(AtomicBool::new(false));
        let (source, right, ended) = (self.clone(), right.clone(), Arc::clone(&over));
        let thread = thread::spawn(move || source.ask(&right, &ended));
        Probe { over, thread }
    }

    fn ask(&self, right: &Values, over: &AtomicBool) -> Seen {
        let mut seen = Seen::default();
        let mut last = Instant::now();
        while !over.load(Ordering::Relaxed) {
            let asked = now();
            let values = self.values().unwrap_or_default();
            for (pod, (value, stamp)) in &values {
                // Timestamps are whole seconds, cut off. However long the answer
                // took, it was made after it was asked for.
                let oldest = asked - OLDEST.as_secs_f64() - 1.0;
                assert!(
                    *stamp as f64 >= oldest,
                    "{pod} has a value of {:.1} s before it was asked for",
                    asked - *stamp as f64
                );
                let known = right.get(pod).map(|(known, _)| *known);
                assert!(
                    known.is_some_and(|known| (known - value).abs() <= PROBED),
                    "{pod} has {value}, had {known:?}"
                );
            }
            match values.len() {
                0 => seen.none += 1,
                some if some < right.len() => seen.partial += 1,
                _ => {
                    seen.whole += 1;
                    seen.gap = seen.gap.max(last.elapsed());
                    last = Instant::now();
                }
            }
            thread::sleep(POLL);
        }
        seen
    }
}

/// Ends when asked what was seen.
pub(super) struct Probe {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

impl Probe {
    pub(super) fn end(self) -> Seen {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("right values")
    }
}

fn read(item: &Value) -> (String, (f64, i64)) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = text(&item["describedObject"]["name"]);
    let value = text(&item["value"])
        .parse()
        .unwrap_or_else(|e| panic!("{e}: {item}"));
    let time: k8s_openapi::jiff::Timestamp = text(&item["timestamp"])
        .parse()
        .unwrap_or_else(|e| panic!("{e}: {item}"));
    (name, (value, time.as_second()))
}
