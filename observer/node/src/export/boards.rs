//! Grafana boards, described beside the table of families: a test holds every
//! query against it, so that a renamed family cannot leave a dead panel.
//! `cargo xtask dashboards` writes them to `deploy/dashboards`.

mod autoscaling;
mod list;
mod workload;

use serde_json::{Value, json};

pub use list::BOARDS;

/// A board.
#[derive(Debug)]
pub struct Board {
    /// Its name in addresses, and of its file.
    pub uid: &'static str,
    title: &'static str,
    /// Labels to choose by, each with the query of its values.
    variables: &'static [(&'static str, &'static str)],
    /// Events, drawn over every panel.
    annotations: &'static [Annotation],
    panels: &'static [Panel],
}

/// Events: each time at which the query has a value.
#[derive(Debug)]
struct Annotation {
    name: &'static str,
    color: &'static str,
    query: &'static str,
    text: &'static str,
}

/// A panel: a title, a unit of Grafana's, and queries with their legends.
#[derive(Debug)]
struct Panel {
    title: &'static str,
    unit: &'static str,
    queries: &'static [(&'static str, &'static str)],
    /// Which legends are of another unit, whose axis is on the right: a
    /// regular expression.
    right: Option<&'static str>,
}

const fn panel(
    title: &'static str,
    unit: &'static str,
    queries: &'static [(&'static str, &'static str)],
) -> Panel {
    Panel {
        title,
        unit,
        queries,
        right: None,
    }
}

const SOURCE: &str = "${datasource}";

impl Board {
    /// Every query of its panels, variables and events.
    pub fn queries(&self) -> impl Iterator<Item = &'static str> {
        let panels = self.panels.iter().flat_map(|panel| panel.queries);
        let variables = self.variables.iter().map(|(_, query)| *query);
        let annotations = self.annotations.iter().map(|one| one.query);
        let queries = panels.map(|(query, _)| *query).chain(variables);
        queries.chain(annotations)
    }

    /// As Grafana imports it.
    pub fn json(&self) -> Value {
        json!({
            "uid": self.uid,
            "title": self.title,
            "tags": ["go-observer"],
            "schemaVersion": 39,
            "version": 1,
            "editable": true,
            "refresh": "30s",
            "time": {"from": "now-1h", "to": "now"},
            "graphTooltip": 1,
            "templating": {"list": self.choices()},
            "annotations": {"list": self.annotations.iter().map(Annotation::json).collect::<Vec<_>>()},
            "panels": self.panels.iter().enumerate().map(|(at, panel)| panel.json(at)).collect::<Vec<_>>(),
        })
    }

    fn choices(&self) -> Vec<Value> {
        let source = json!({
            "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
        });
        let variable = |(name, query): &(&str, &str)| {
            json!({
                "name": name,
                "type": "query",
                "datasource": {"type": "prometheus", "uid": SOURCE},
                "definition": query,
                "query": {"query": query, "refId": name},
                "refresh": 2,
                "sort": 1,
                "includeAll": *name == "node",
                "allValue": ".*",
            })
        };
        [source]
            .into_iter()
            .chain(self.variables.iter().map(variable))
            .collect()
    }
}

impl Annotation {
    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "enable": true,
            "iconColor": self.color,
            "datasource": {"type": "prometheus", "uid": SOURCE},
            "expr": self.query,
            // Times no farther apart are one event.
            "step": "15s",
            "titleFormat": self.name,
            "textFormat": self.text,
        })
    }
}

impl Panel {
    fn json(&self, at: usize) -> Value {
        let target = |(number, (query, legend)): (usize, &(&str, &str))| {
            json!({
                "refId": char::from(b'A' + number as u8).to_string(),
                "datasource": {"type": "prometheus", "uid": SOURCE},
                "expr": query,
                "legendFormat": legend,
            })
        };
        json!({
            "id": at + 1,
            "type": "timeseries",
            "title": self.title,
            "datasource": {"type": "prometheus", "uid": SOURCE},
            "gridPos": {"x": 12 * (at % 2), "y": 9 * (at / 2), "w": 12, "h": 9},
            "fieldConfig": {
                "defaults": {"unit": self.unit, "min": 0, "custom": {"fillOpacity": 8, "lineWidth": 1}},
                "overrides": self.right.map(on_the_right).into_iter().collect::<Vec<_>>(),
            },
            "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}},
            "targets": self.queries.iter().enumerate().map(target).collect::<Vec<_>>(),
        })
    }
}

/// Steps on an axis of their own.
fn on_the_right(legends: &str) -> Value {
    json!({
        "matcher": {"id": "byRegexp", "options": legends},
        "properties": [
            {"id": "custom.axisPlacement", "value": "right"},
            {"id": "custom.lineInterpolation", "value": "stepAfter"},
            {"id": "custom.fillOpacity", "value": 0},
        ],
    })
}
