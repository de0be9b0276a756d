//! What changed from one table to the next.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::row::{LiveFigures, Row, RowTable};

/// What leads from one table to the next.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Change {
    /// The number of the table that it leads to.
    pub sequence: u64,
    /// When that was observed, in milliseconds since the epoch.
    #[serde(rename = "at")]
    pub at_ms: f64,
    /// How often figures are read now.
    pub interval_ms: f64,
    /// Whether every row's past has one point more: its goroutines now.
    pub tick: bool,
    /// By the row's number, the figures that changed.
    pub rows: Vec<(u32, Map<String, Value>)>,
    /// Rows that are new, or are now something else.
    pub new: Vec<Row>,
    /// Numbers of rows that are no more.
    pub gone: Vec<u32>,
}

impl Change {
    pub(super) fn between(before: &RowTable, now: &RowTable) -> Self {
        let old: HashMap<u32, &Row> = before.rows.iter().map(|row| (row.key, row)).collect();
        let mut change = Self {
            sequence: now.sequence,
            at_ms: now.at_ms,
            interval_ms: now.interval_ms,
            tick: now.tick,
            rows: Vec::new(),
            new: Vec::new(),
            gone: Vec::new(),
        };
        for row in &now.rows {
            match old.get(&row.key) {
                Some(old) if old.about == row.about => {
                    let changed = changed(&old.figures, &row.figures);
                    if !changed.is_empty() {
                        change.rows.push((row.key, changed));
                    }
                }
                _ => change.new.push(row.clone()),
            }
        }
        let now: HashSet<u32> = now.rows.iter().map(|row| row.key).collect();
        change
            .gone
            .extend(old.keys().copied().filter(|key| !now.contains(key)));
        change
    }
}

/// The figures that are not what they were.
fn changed(before: &LiveFigures, now: &LiveFigures) -> Map<String, Value> {
    let mut changed = Map::new();
    macro_rules! compare {
        ($($field:ident),*) => {
            // Every field, or this would not compile.
            let LiveFigures { $($field),* } = now;
            $(if before.$field != *$field {
                changed.insert(stringify!($field).to_owned(), json!($field));
            })*
        };
    }
    compare!(
        goroutines,
        created_per_second,
        exited_per_second,
        pause_p99_ns,
        stopped_share,
        heap_bytes,
        next_gc_bytes,
        memory_limit_bytes,
        latency_p99_ns,
        covered,
        coverable,
        cost_share,
        attention
    );
    changed
}
