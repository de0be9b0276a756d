//! Autoscalers that wait for nothing.

use serde_json::{Value, json};

/// Scales back at once, for the next round, and on nothing but goroutines.
pub(super) fn eager(object: &mut Value) {
    if object["kind"] == "HorizontalPodAutoscaler" {
        let metrics = object["spec"]["metrics"].as_array_mut();
        metrics.expect("metrics").truncate(1);
        object["spec"]["behavior"] = json!({
            "scaleUp": { "stabilizationWindowSeconds": 0 },
            "scaleDown": {
                "stabilizationWindowSeconds": 0,
                "policies": [{ "type": "Percent", "value": 100, "periodSeconds": 1 }],
            },
        });
    }
}
