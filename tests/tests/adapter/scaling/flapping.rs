//! Load that comes and goes: an example against a plain autoscaler on CPU with
//! the defaults of Kubernetes, whose seconds are divided likewise.

use super::*;
use serde_json::json;

/// Half a period of the load: between the 15 s that the defaults' window is
/// here, and the 30 s of the example's.
const HALF: Duration = Duration::from_secs(22);
const PERIODS: u32 = 2;
/// As much CPU as ten times the request, goroutines as well.
const LOAD: [&str; 2] = ["/leak?n=200", "/alloc?mb=1200&seconds=5"];

/// Moves replicas less than plain CPU does.
pub(super) fn run(adapter: &Adapter) {
    let ours = Scaled::example(adapter, "hpa-several", |_| ());
    let plain = Scaled::example(adapter, "hpa-pods", |object| {
        if object["kind"] == "HorizontalPodAutoscaler" {
            let metrics = object["spec"]["metrics"].as_array_mut().expect("metrics");
            metrics.retain(|metric| metric["type"] == "Resource");
            // The defaults: up by twice as many or four per 15 s, down by as
            // many as there are after 300 s.
            object["spec"]["behavior"] = json!({
                "scaleUp": { "policies": [
                    { "type": "Percent", "value": 100, "periodSeconds": 1 },
                    { "type": "Pods", "value": 4, "periodSeconds": 1 },
                ] },
                "scaleDown": {
                    "stabilizationWindowSeconds": 15,
                    "policies": [{ "type": "Percent", "value": 100, "periodSeconds": 1 }],
                },
            });
        }
    });
    let both = [&ours, &plain];
    for scaled in both {
        scaled.await_active();
    }
    let watched = both.map(Scaled::watch);
    for _ in 0..PERIODS {
        let begin = Instant::now();
        // Which of them stayed is not ours to say; any may go meanwhile.
        let two = |scaled: &Scaled| scaled.await_ready(LEAST as usize).into_iter().take(2);
        let all: Vec<_> = both.into_iter().flat_map(two).collect();
        for pod in &all {
            let _ = burst::try_ask(pod, LOAD[0]);
        }
        let load = Load::on(&all, LOAD[1]);
        thread::sleep(HALF.saturating_sub(begin.elapsed()));
        drop(load);
        for pod in &all {
            let _ = burst::try_ask(pod, "/leak/stop");
        }
        thread::sleep((HALF * 2).saturating_sub(begin.elapsed()));
    }
    let [ours, plain] = watched.map(|replicas| replicas.numbers());
    say(&format!(
        "replicas while load came and went {PERIODS} times: {ours:?}, by CPU alone {plain:?}"
    ));
    let falls = |numbers: &[u64]| numbers.windows(2).filter(|pair| pair[1] < pair[0]).count();
    assert_eq!(falls(&ours), 0, "{ours:?}");
    assert!(ours.len() > 1, "it never rose: {ours:?}");
    assert!(plain.len() > ours.len(), "{ours:?} against {plain:?}");
}
