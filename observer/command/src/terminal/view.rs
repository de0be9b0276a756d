//! One row's last minutes.

use std::{
    collections::{HashMap, VecDeque},
    time::Instant,
};

use observer_node::history::Row;
use serde::Deserialize;
use serde_json::Value;

use super::text::clean;

/// Points and stops kept.
const POINTS: usize = 300;
const STOPS: usize = 64;

/// The figures that charts are drawn of.
pub(super) const SERIES: [&str; 5] = [
    "goroutines",
    "created_per_second",
    "exited_per_second",
    "heap_bytes",
    "next_gc_bytes",
];

#[derive(Deserialize)]
struct News {
    row: Row,
    #[serde(default)]
    facts: Facts,
    series: HashMap<String, Vec<Option<f64>>>,
    stops: Vec<Stop>,
}

/// What stands beside the charts.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Facts {
    /// Collections since its processes began.
    pub(super) collections: Option<u64>,
    pub(super) missing: Vec<Missing>,
}

/// A group of figures that is not exact.
#[derive(Debug, Deserialize)]
pub(super) struct Missing {
    pub(super) figure: String,
    pub(super) reason: String,
    pub(super) detail: String,
}

/// A stop of the world.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Stop {
    pub(super) began_ns: String,
    pub(super) pause_ns: u64,
    pub(super) reason: String,
    pub(super) trigger: String,
}

/// One creator of goroutines.
#[derive(Debug)]
pub(super) struct Creator {
    pub(super) place: String,
    pub(super) count: u64,
    /// Since the last look.
    pub(super) change: Option<i64>,
}

/// One row's last minutes.
pub(super) struct View {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) row: Option<Row>,
    pub(super) facts: Facts,
    pub(super) gone: bool,
    pub(super) series: HashMap<String, Vec<Option<f64>>>,
    pub(super) stops: VecDeque<Stop>,
    pub(super) creators: Vec<Creator>,
    pub(super) said: Option<String>,
    counts: Option<(Instant, HashMap<String, u64>)>,
}

impl View {
    pub(super) fn new(id: String, name: String) -> Self {
        Self {
            id,
            name,
            row: None,
            facts: Facts::default(),
            gone: false,
            series: HashMap::new(),
            stops: VecDeque::new(),
            creators: Vec::new(),
            said: None,
            counts: None,
        }
    }

    pub(super) fn pids(&self) -> Vec<u32> {
        let row = self.row.iter();
        row.flat_map(|row| row.about.processes.iter().map(|it| it.pid))
            .take(8)
            .collect()
    }

    pub(super) fn take(&mut self, event: &str, data: &Value) -> serde_json::Result<()> {
        self.gone = event == "gone";
        if self.gone {
            return Ok(());
        }
        if event == "view" {
            self.series.clear();
            self.stops.clear();
        }
        let news = News::deserialize(data)?;
        for (name, values) in news.series {
            let known = self.series.entry(name).or_default();
            known.extend(values);
            known.drain(..known.len().saturating_sub(POINTS));
        }
        self.stops.extend(news.stops);
        self.stops.drain(..self.stops.len().saturating_sub(STOPS));
        self.row = Some(news.row);
        self.facts = news.facts;
        Ok(())
    }

    /// Takes in what walks over goroutines found.
    pub(super) fn walked(&mut self, reports: &[Value]) {
        let mut counts: HashMap<String, u64> = HashMap::new();
        for creator in reports
            .iter()
            .filter_map(|report| report["creators"].as_array())
            .flatten()
        {
            let by = &creator["created_by"];
            let place = match (by["function"].as_str(), by["line"].as_u64()) {
                (Some(function), Some(line)) => format!("{}:{line}", clean(function)),
                (Some(function), None) => clean(function),
                (None, _) => "not known".to_owned(),
            };
            *counts.entry(place).or_default() += creator["count"].as_u64().unwrap_or_default();
        }
        let before = self.counts.take();
        let change = |place: &str, count: u64| {
            let (_, before) = before.as_ref()?;
            let earlier = before.get(place).copied().unwrap_or_default();
            Some(count as i64 - earlier as i64)
        };
        self.creators = counts
            .iter()
            .map(|(place, count)| Creator {
                place: place.clone(),
                count: *count,
                change: change(place, *count),
            })
            .collect();
        self.creators
            .sort_by(|a, b| b.count.cmp(&a.count).then(a.place.cmp(&b.place)));
        self.said = before
            .as_ref()
            .map(|(at, _)| format!("change since {} s ago", at.elapsed().as_secs()));
        self.counts = Some((Instant::now(), counts));
    }
}
