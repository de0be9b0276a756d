//! The table's columns, for the page and for a terminal: `page/columns.json` says of each
//! what it is called, which figure it shows in which form, and how much room it needs.

use std::sync::LazyLock;

use serde::Deserialize;

use super::{LiveFigures, Row};

/// The table of columns, as the page gets it too.
pub(crate) const TEXT: &str = include_str!("../page/columns.json");

/// All columns.
#[derive(Debug, Deserialize)]
pub struct Columns {
    /// Below which width a column takes its narrow one.
    narrow: Widths<u16>,
    columns: Vec<Column>,
}

/// What is measured on the page in pixels, and in a terminal in characters.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Widths<T> {
    terminal: T,
}

/// A column.
#[derive(Debug, Deserialize)]
pub struct Column {
    /// Names it in filters and in the page's address.
    pub id: String,
    /// Its heading.
    pub title: String,
    /// Where rows have it.
    #[serde(default)]
    rows: Rows,
    /// How what it shows is written.
    pub format: Format,
    /// The figure or text that it shows, as a row's JSON has it.
    #[serde(default)]
    field: String,
    /// So many characters of a text are shown.
    longest: Option<usize>,
    /// Whether its last minute is drawn beside it.
    #[serde(default)]
    pub spark: bool,
    /// The highest goes first where there is no room.
    rank: u8,
    /// Its width where there is room, and where there is little.
    #[serde(flatten)]
    width: Widths<[u16; 2]>,
}

/// What rows are, where a column is not of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Rows {
    #[default]
    All,
    /// Containers of pods.
    Containers,
    /// Processes outside pods.
    Processes,
}

/// How what a column shows is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// What the row is called; leads to its view.
    Name,
    /// A text.
    Text,
    /// Versions of Go.
    Versions,
    /// Why the row needs attention.
    Attention,
    /// The first process.
    Pid,
    /// A whole number.
    Count,
    /// In a second.
    Rate,
    /// Nanoseconds.
    Duration,
    /// Bytes.
    Bytes,
    /// A part of one.
    Share,
    /// Groups of figures, of those that there are.
    Coverage,
}

/// What a column shows of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Words, which strangers may have chosen.
    Text(String),
    /// A figure; `None` where it is not known.
    Number(Option<f64>),
}

/// The columns, read once.
pub fn columns() -> &'static Columns {
    static COLUMNS: LazyLock<Columns> = LazyLock::new(|| {
        serde_json::from_str(TEXT).expect("page/columns.json is as a test read it")
    });
    &COLUMNS
}

impl Columns {
    /// Those of containers of pods, or of processes, in their order.
    pub fn of(&self, kubernetes: bool) -> Vec<&Column> {
        let others = if kubernetes {
            Rows::Processes
        } else {
            Rows::Containers
        };
        let all = self.columns.iter();
        all.filter(|column| column.rows != others).collect()
    }

    /// Those of `all` that fit into a terminal, in their order, each with its width.
    /// There is a space between two.
    pub fn fitting<'a>(&self, all: &[&'a Column], width: u16) -> Vec<(&'a Column, u16)> {
        let place = usize::from(width < self.narrow.terminal);
        let mut ranked: Vec<_> = all.iter().enumerate().collect();
        ranked.sort_by_key(|(_, column)| column.rank);
        let mut left = width + 1;
        let mut kept = Vec::new();
        for (at, column) in ranked {
            let needs = column.width.terminal[place];
            if !kept.is_empty() && needs + 1 > left {
                break;
            }
            left = left.saturating_sub(needs + 1);
            kept.push((at, (*column, needs)));
        }
        kept.sort_by_key(|(at, _)| *at);
        kept.into_iter().map(|(_, column)| column).collect()
    }
}

impl Column {
    /// What it shows of a row.
    pub fn value(&self, row: &Row) -> Value {
        let about = &row.about;
        match self.format {
            Format::Name | Format::Text => {
                let text = text(row, &self.field).chars();
                Value::Text(text.take(self.longest.unwrap_or(usize::MAX)).collect())
            }
            Format::Versions => {
                let versions = about.versions.iter();
                let versions = versions.map(|version| version.trim_start_matches("go"));
                Value::Text(versions.collect::<Vec<_>>().join(", "))
            }
            Format::Attention => {
                let why = row.figures.attention.iter().map(|it| it.why.words());
                Value::Text(why.collect::<Vec<_>>().join(", "))
            }
            Format::Pid => Value::Number(about.processes.first().map(|it| f64::from(it.pid))),
            Format::Coverage => {
                let (covered, all) = (row.figures.covered, row.figures.coverable);
                Value::Number(Some(f64::from(covered) / f64::from(all.max(1))))
            }
            Format::Count | Format::Rate | Format::Duration | Format::Bytes | Format::Share => {
                Value::Number(number(&row.figures, &self.field))
            }
        }
    }

    /// Whether it shows figures.
    pub const fn is_number(&self) -> bool {
        !matches!(
            self.format,
            Format::Name | Format::Text | Format::Versions | Format::Attention
        )
    }
}

/// The text of this name; a pod without a name is called as its process.
fn text<'a>(row: &'a Row, field: &str) -> &'a str {
    let about = &row.about;
    match field {
        "namespace" => &about.namespace,
        "container" => &about.container,
        "pod" if !about.pod.is_empty() => &about.pod,
        _ => &about.process,
    }
}

/// The figure of this name.
fn number(figures: &LiveFigures, field: &str) -> Option<f64> {
    let whole = |value: Option<u64>| value.map(|value| value as f64);
    match field {
        "goroutines" => whole(figures.goroutines),
        "created_per_second" => figures.created_per_second,
        "exited_per_second" => figures.exited_per_second,
        "pause_p99_ns" => whole(figures.pause_p99_ns),
        "stopped_share" => figures.stopped_share,
        "heap_bytes" => whole(figures.heap_bytes),
        "next_gc_bytes" => whole(figures.next_gc_bytes),
        "memory_limit_bytes" => whole(figures.memory_limit_bytes),
        "latency_p99_ns" => whole(figures.latency_p99_ns),
        "cost_share" => figures.cost_share,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use serde_json::Value as Json;

    use super::{Format, TEXT, Value, columns};
    use crate::history::{About, Attention, LiveFigures, ProcessRef, Row, Why};

    fn row() -> Row {
        Row {
            key: 1,
            about: Arc::new(About {
                id: "pid:7:1".to_owned(),
                namespace: "shop".to_owned(),
                pod: "web-0".to_owned(),
                container: "c".repeat(100),
                process: "server".to_owned(),
                versions: BTreeSet::from(["go1.26.8".to_owned(), "go1.27.4".to_owned()]),
                processes: vec![ProcessRef {
                    pid: 7,
                    name: "server".to_owned(),
                }],
                ..About::default()
            }),
            figures: LiveFigures {
                goroutines: Some(1),
                created_per_second: Some(2.0),
                exited_per_second: Some(3.0),
                pause_p99_ns: Some(4),
                stopped_share: Some(5.0),
                heap_bytes: Some(6),
                next_gc_bytes: Some(7),
                memory_limit_bytes: Some(8),
                latency_p99_ns: Some(9),
                covered: 1,
                coverable: 2,
                cost_share: Some(10.0),
                attention: vec![Attention {
                    why: Why::GoroutinesGrow,
                    text: "they grow".to_owned(),
                }],
            },
            spark: Vec::new(),
        }
    }

    /// The page reads figures and texts by these names from the row's JSON.
    #[test]
    fn columns_show_what_a_rows_json_has_by_the_same_name() {
        let row = row();
        let json = serde_json::to_value(&row).unwrap();
        let written: Json = serde_json::from_str(TEXT).unwrap();
        let written = written["columns"].as_array().unwrap();
        assert_eq!(written.len(), columns().columns.len());
        for (column, written) in columns().columns.iter().zip(written) {
            let id = &column.id;
            let is_known = |key: &String| {
                let keys = "id title tip rows format field longest spark rank page terminal";
                keys.split(' ').any(|known| known == key)
            };
            assert!(
                written.as_object().unwrap().keys().all(is_known),
                "{written}"
            );
            for widths in ["page", "terminal"] {
                let [wide, narrow] = [0, 1].map(|at| written[widths][at].as_u64().unwrap());
                assert!(wide >= narrow && narrow > 0, "{id}");
            }
            let shown = column.value(&row);
            assert_eq!(
                column.is_number(),
                matches!(shown, Value::Number(_)),
                "{id}"
            );
            match &json[&column.field] {
                Json::String(text) => {
                    let longest = column.longest.unwrap_or(usize::MAX);
                    let expected: String = text.chars().take(longest).collect();
                    assert_eq!(shown, Value::Text(expected), "{id}");
                }
                Json::Number(number) => {
                    assert_eq!(shown, Value::Number(number.as_f64()), "{id}");
                }
                _ => {
                    let expected = match column.format {
                        Format::Versions => Value::Text("1.26.8, 1.27.4".to_owned()),
                        Format::Attention => Value::Text("goroutines grow".to_owned()),
                        Format::Pid => Value::Number(Some(7.0)),
                        Format::Coverage => Value::Number(Some(0.5)),
                        other => panic!("{id}: {other:?} without a field"),
                    };
                    assert_eq!(shown, expected, "{id}");
                }
            }
        }
    }

    #[test]
    fn a_table_has_each_column_once_and_begins_with_the_name() {
        for kubernetes in [false, true] {
            let all = columns().of(kubernetes);
            let ids: BTreeSet<_> = all.iter().map(|column| &column.id).collect();
            let ranks: BTreeSet<_> = all.iter().map(|column| column.rank).collect();
            assert_eq!((ids.len(), ranks.len()), (all.len(), all.len()));
            assert_eq!((all[0].format, all[0].rank), (Format::Name, 0));
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out_the_least_important_first() {
        let all = columns().of(true);
        let shown = |width| {
            let shown = columns().fitting(&all, width);
            let room: u16 = shown.iter().map(|(_, width)| width + 1).sum();
            assert!(shown.len() == 1 || room <= width + 1, "{width}: {room}");
            let ids = shown.iter().map(|(column, _)| column.id.as_str());
            ids.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(1), "pod");
        assert_eq!(shown(40), "pod goroutines");
        assert_eq!(shown(80), "pod namespace attention goroutines pause heap");
        assert_eq!(columns().fitting(&all, 1000).len(), all.len());
    }
}
