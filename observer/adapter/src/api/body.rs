//! Answers with values, in both versions' words.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Serialize;

use super::{
    group::{ApiGroup, ApiVersion},
    quantity::quantity,
};

/// Which object a value describes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Described {
    /// As `Pod`.
    pub kind: &'static str,
    /// Absent of what has no namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// As `apps/v1`.
    pub api_version: &'static str,
}

/// A value of an object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    /// Whose.
    pub object: Described,
    /// The number.
    pub value: f64,
    /// When the figures it is of were observed, the oldest of them.
    pub at: SystemTime,
    /// What a rate was taken over, in whole seconds.
    pub window_seconds: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<I> {
    kind: &'static str,
    api_version: String,
    metadata: Empty,
    items: Vec<I>,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemV1<'a> {
    described_object: Described,
    metric_name: &'a str,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<u64>,
    value: String,
    selector: Option<&'a LabelSelector>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemV2<'a> {
    described_object: Described,
    metric: Metric<'a>,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    window_seconds: Option<u64>,
    value: String,
}

#[derive(Clone, Serialize)]
struct Metric<'a> {
    name: &'a str,
    selector: Option<&'a LabelSelector>,
}

/// The list as JSON. What is no number is left out.
pub(crate) fn list(
    version: ApiVersion,
    metric: &str,
    selector: Option<&LabelSelector>,
    items: Vec<Item>,
) -> serde_json::Result<Vec<u8>> {
    match version {
        ApiVersion::V1Beta1 => write(version, items, |item, value, timestamp| ItemV1 {
            described_object: item.object,
            metric_name: metric,
            timestamp,
            window: item.window_seconds,
            value,
            selector,
        }),
        ApiVersion::V1Beta2 => write(version, items, |item, value, timestamp| ItemV2 {
            described_object: item.object,
            metric: Metric {
                name: metric,
                selector,
            },
            timestamp,
            window_seconds: item.window_seconds,
            value,
        }),
    }
}

fn write<I: Serialize>(
    version: ApiVersion,
    items: Vec<Item>,
    of: impl Fn(Item, String, String) -> I,
) -> serde_json::Result<Vec<u8>> {
    let items = items.into_iter().filter_map(|item| {
        let value = quantity(item.value)?;
        let timestamp = timestamp(item.at);
        Some(of(item, value, timestamp))
    });
    serde_json::to_vec(&List {
        kind: "MetricValueList",
        api_version: ApiGroup::Custom.api_version(version),
        metadata: Empty {},
        items: items.collect(),
    })
}

fn timestamp(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at.max(UNIX_EPOCH)).to_string()
}

/// A value of what labels select.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ExternalItem {
    /// The labels that were asked for by one value each.
    pub labels: BTreeMap<String, String>,
    /// The number.
    pub value: f64,
    /// When the figures it is of were observed, the oldest of them.
    pub at: SystemTime,
    /// What a rate was taken over, in whole seconds.
    pub window_seconds: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalWritten<'a> {
    metric_name: &'a str,
    metric_labels: BTreeMap<String, String>,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<u64>,
    value: String,
}

/// The list of external values as JSON. What is no number is left out.
pub(crate) fn external_list(
    metric: &str,
    item: Option<ExternalItem>,
) -> serde_json::Result<Vec<u8>> {
    let items = item.into_iter().filter_map(|item| {
        Some(ExternalWritten {
            metric_name: metric,
            value: quantity(item.value)?,
            timestamp: timestamp(item.at),
            metric_labels: item.labels,
            window: item.window_seconds,
        })
    });
    serde_json::to_vec(&List {
        kind: "ExternalMetricValueList",
        api_version: ApiGroup::External.api_version(ApiVersion::V1Beta1),
        metadata: Empty {},
        items: items.collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
    use serde_json::{Value, json};

    use super::{Described, Item, list};
    use crate::api::group::ApiVersion;

    fn item(value: f64) -> Item {
        Item {
            object: Described {
                kind: "Pod",
                namespace: "shop".to_owned(),
                name: "web-0".to_owned(),
                api_version: "v1",
            },
            value,
            at: UNIX_EPOCH + Duration::from_millis(1_800_000_000_999),
            window_seconds: Some(15),
        }
    }

    #[test]
    fn each_version_has_its_own_words() {
        let written = |version, selector: Option<&LabelSelector>| -> Value {
            let items = vec![item(10.5), item(f64::NAN)];
            serde_json::from_slice(&list(version, "go_goroutines", selector, items).unwrap())
                .unwrap()
        };
        let object =
            json!({"kind": "Pod", "namespace": "shop", "name": "web-0", "apiVersion": "v1"});
        assert_eq!(
            written(ApiVersion::V1Beta2, None),
            json!({
                "kind": "MetricValueList",
                "apiVersion": "custom.metrics.k8s.io/v1beta2",
                "metadata": {},
                "items": [{
                    "describedObject": object,
                    "metric": {"name": "go_goroutines", "selector": null},
                    "timestamp": "2027-01-15T08:00:00Z",
                    "windowSeconds": 15,
                    "value": "10500m",
                }],
            })
        );
        let selector = LabelSelector {
            match_labels: Some([("container".to_owned(), "app".to_owned())].into()),
            ..LabelSelector::default()
        };
        assert_eq!(
            written(ApiVersion::V1Beta1, Some(&selector))["items"],
            json!([{
                "describedObject": object,
                "metricName": "go_goroutines",
                "timestamp": "2027-01-15T08:00:00Z",
                "window": 15,
                "value": "10500m",
                "selector": {"matchLabels": {"container": "app"}},
            }])
        );
    }
}
