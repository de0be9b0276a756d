//! Prometheus' own answers.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use super::tls;
use crate::{metrics::Series, wait};

/// A scrape, and what a rule makes of it, each at the latest.
pub const SCRAPED: Duration = Duration::from_secs(60);

/// A Prometheus.
#[derive(Clone, Debug)]
pub struct Prometheus {
    url: String,
    agent: ureq::Agent,
}

impl Prometheus {
    pub(super) fn at(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            agent: tls::agent(),
        }
    }

    /// `data` of an answer of its API, for example to `rules`.
    pub fn api(&self, path: &str) -> Value {
        let url = format!("{}/api/v1/{path}", self.url);
        let (status, body) =
            tls::get(&self.agent, &url, None).unwrap_or_else(|e| panic!("{url}: {e}"));
        let mut answer: Value =
            serde_json::from_str(&body).unwrap_or_else(|e| panic!("{url}: {status} {e}: {body}"));
        assert_eq!(answer["status"], "success", "{url}: {body}");
        answer["data"].take()
    }

    /// What a query gives now.
    pub fn query(&self, query: &str) -> Vec<Series> {
        let data = self.api(&format!("query?query={}", escape(query)));
        let result = data["result"].as_array().expect("a vector");
        let series = result.iter().map(|one| {
            let labels: BTreeMap<String, String> =
                serde_json::from_value(one["metric"].clone()).expect("labels");
            let value = one["value"][1].as_str().and_then(|text| text.parse().ok());
            let value = value.unwrap_or_else(|| panic!("no value: {one}"));
            Series { labels, value }
        });
        series.collect()
    }

    /// What a query gave between two times, in seconds since the epoch, every
    /// five seconds.
    pub fn range(&self, query: &str, (from, to): (f64, f64)) -> Vec<Curve> {
        let query = escape(query);
        let data = self.api(&format!(
            "query_range?query={query}&start={from}&end={to}&step=5"
        ));
        let result = data["result"].as_array().expect("a matrix");
        let curves = result.iter().map(|one| Curve {
            labels: serde_json::from_value(one["metric"].clone()).expect("labels"),
            points: points(&one["values"]),
        });
        curves.collect()
    }

    /// Values that a label of the selected series had between two times.
    pub fn label_values(&self, label: &str, selector: &str, (from, to): (f64, f64)) -> Vec<String> {
        let selector = escape(selector);
        let data = self.api(&format!(
            "label/{label}/values?match[]={selector}&start={from}&end={to}"
        ));
        serde_json::from_value(data).expect("names")
    }

    /// What a query gives, once that is what is awaited.
    pub fn await_query(
        &self,
        query: &str,
        mut is_it: impl FnMut(&[Series]) -> bool,
    ) -> Vec<Series> {
        let mut last = Vec::new();
        let there = wait::comes_true(SCRAPED, || {
            last = self.query(query);
            is_it(&last)
        });
        assert!(there, "{query} is not within {SCRAPED:?}, but {last:?}");
        last
    }
}

/// A series over time.
#[derive(Clone, Debug)]
pub struct Curve {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Seconds since the epoch, and the value then.
    pub points: Vec<(f64, f64)>,
}

fn points(values: &Value) -> Vec<(f64, f64)> {
    let point = |one: &Value| {
        let value = one[1].as_str().and_then(|text| text.parse().ok());
        one[0].as_f64().zip(value)
    };
    let values = values.as_array().expect("values").iter();
    values
        .map(|one| point(one).unwrap_or_else(|| panic!("no point: {one}")))
        .collect()
}

fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
