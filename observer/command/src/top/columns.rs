//! The table's columns: what each says, how it sorts, how soon it has to go.

use std::cmp::Ordering;

use observer_node::history::Row;

use crate::terminal::clean;

/// Stands where a figure is not known.
pub(super) const UNKNOWN: &str = "–";

/// A column.
pub(super) struct Column {
    pub(super) heading: &'static str,
    pub(super) width: u16,
    /// The highest goes first where there is no room.
    pub(super) rank: u8,
    pub(super) text: fn(&Row) -> String,
    pub(super) by: By,
}

/// How a column sorts.
pub(super) enum By {
    Text,
    Number(fn(&Row) -> Option<f64>),
}

const fn words(heading: &'static str, width: u16, rank: u8, text: fn(&Row) -> String) -> Column {
    let by = By::Text;
    Column {
        heading,
        width,
        rank,
        text,
        by,
    }
}

const fn numbers(
    heading: &'static str,
    width: u16,
    rank: u8,
    text: fn(&Row) -> String,
    number: fn(&Row) -> Option<f64>,
) -> Column {
    let by = By::Number(number);
    Column {
        heading,
        width,
        rank,
        text,
        by,
    }
}

/// The column that the table is sorted by at first.
pub(super) const GOROUTINES: usize = 4;

pub(super) static COLUMNS: [Column; 16] = [
    words("NAMESPACE", 12, 11, |row| clean(&row.about.namespace)),
    words("NAME", 28, 0, name),
    words("ATTENTION", 15, 3, attention),
    words("GO", 8, 8, |row| {
        let versions = row.about.versions.iter();
        let versions = versions.map(|version| version.trim_start_matches("go"));
        clean(&versions.collect::<Vec<_>>().join(","))
    }),
    numbers(
        "GOROUTINES",
        11,
        1,
        |row| whole(row.figures.goroutines),
        |row| Some(row.figures.goroutines? as f64),
    ),
    words("LAST MINUTE", 12, 5, |row| spark(&row.spark, 12)),
    numbers(
        "CREATED/s",
        10,
        4,
        |row| rate(row.figures.created_per_second),
        |row| row.figures.created_per_second,
    ),
    numbers(
        "EXITED/s",
        9,
        9,
        |row| rate(row.figures.exited_per_second),
        |row| row.figures.exited_per_second,
    ),
    numbers(
        "GC PAUSE",
        9,
        2,
        |row| duration(row.figures.pause_p99_ns),
        |row| Some(row.figures.pause_p99_ns? as f64),
    ),
    numbers(
        "STOPPED",
        8,
        10,
        |row| percent(row.figures.stopped_share),
        |row| row.figures.stopped_share,
    ),
    numbers(
        "HEAP",
        8,
        2,
        |row| bytes(row.figures.heap_bytes),
        |row| Some(row.figures.heap_bytes? as f64),
    ),
    numbers(
        "NEXT GC",
        8,
        6,
        |row| bytes(row.figures.next_gc_bytes),
        |row| Some(row.figures.next_gc_bytes? as f64),
    ),
    numbers(
        "LIMIT",
        8,
        12,
        |row| bytes(row.figures.memory_limit_bytes),
        |row| Some(row.figures.memory_limit_bytes? as f64),
    ),
    numbers(
        "SCHED P99",
        10,
        7,
        |row| duration(row.figures.latency_p99_ns),
        |row| Some(row.figures.latency_p99_ns? as f64),
    ),
    numbers("COVERAGE", 9, 13, coverage, |row| {
        Some(f64::from(row.figures.covered) / f64::from(row.figures.coverable.max(1)))
    }),
    numbers(
        "COST",
        8,
        14,
        |row| percent(row.figures.cost_share),
        |row| row.figures.cost_share,
    ),
];

impl Column {
    /// The order of two rows; what is not known goes last in both directions.
    pub(super) fn compare(&self, a: &Row, b: &Row, up: bool) -> Ordering {
        let turn = |order: Ordering| if up { order } else { order.reverse() };
        let order = match self.by {
            By::Text => turn((self.text)(a).cmp(&(self.text)(b))),
            By::Number(number) => match (number(a), number(b)) {
                (Some(a), Some(b)) => turn(a.total_cmp(&b)),
                (a, b) => b.is_some().cmp(&a.is_some()),
            },
        };
        order.then(a.key.cmp(&b.key))
    }

    pub(super) const fn is_number(&self) -> bool {
        matches!(self.by, By::Number(_))
    }
}

/// A pod and its container; outside pods the process and its id.
pub(super) fn name(row: &Row) -> String {
    let about = &row.about;
    if about.pod.is_empty() {
        let pid = about.processes.first().map_or(0, |process| process.pid);
        return format!("{} {pid}", clean(&about.process));
    }
    format!("{}/{}", clean(&about.pod), clean(&about.container))
}

fn attention(row: &Row) -> String {
    let why = row.figures.attention.iter().map(|it| it.why.words());
    why.collect::<Vec<_>>().join(", ")
}

fn coverage(row: &Row) -> String {
    let figures = &row.figures;
    if figures.covered == figures.coverable {
        return "full".to_owned();
    }
    format!("{}/{}", figures.covered, figures.coverable)
}

/// A line of blocks, of the last values.
pub(super) fn spark(values: &[i64], width: usize) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let last = &values[values.len().saturating_sub(width)..];
    let known = last.iter().copied().filter(|value| *value >= 0);
    let (Some(low), Some(high)) = (known.clone().min(), known.max()) else {
        return String::new();
    };
    // A little up and down is not to look like a lot.
    let range = (high - low).max(4).max(low / 10);
    let block = |value: &i64| match value {
        ..0 => ' ',
        value => BLOCKS[(((value - low) * 7) / range).clamp(0, 7) as usize],
    };
    last.iter().map(block).collect()
}

pub(super) fn whole(value: Option<u64>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |value| value.to_string())
}

pub(super) fn rate(value: Option<f64>) -> String {
    match value {
        None => UNKNOWN.to_owned(),
        Some(rate) if rate > 0.0 && rate < 10.0 => format!("{rate:.1}"),
        Some(rate) => format!("{rate:.0}"),
    }
}

pub(super) fn percent(share: Option<f64>) -> String {
    match share.map(|share| share * 100.0) {
        None => UNKNOWN.to_owned(),
        Some(0.0) => "0%".to_owned(),
        Some(percent) if percent > 0.0 && percent < 0.01 => "<0.01%".to_owned(),
        Some(percent) if percent < 1.0 => format!("{percent:.2}%"),
        Some(percent) => format!("{percent:.1}%"),
    }
}

/// Three digits and a unit.
fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    let unit = units.iter().rev().find(|(size, _)| value >= *size);
    let (size, name) = unit.or(units.first()).copied().unwrap_or((1.0, ""));
    let value = value / size;
    match value {
        _ if size <= 1.0 || value >= 100.0 => format!("{value:.0}{name}"),
        10.0.. => format!("{value:.1}{name}"),
        _ => format!("{value:.2}{name}"),
    }
}

pub(super) fn duration(ns: Option<u64>) -> String {
    const UNITS: [(f64, &str); 4] = [(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")];
    ns.map_or_else(|| UNKNOWN.to_owned(), |ns| scaled(ns as f64, &UNITS))
}

pub(super) fn bytes(bytes: Option<u64>) -> String {
    const UNITS: [(f64, &str); 4] = [(1.0, "B"), (1e3, "kB"), (1e6, "MB"), (1e9, "GB")];
    bytes.map_or_else(|| UNKNOWN.to_owned(), |bytes| scaled(bytes as f64, &UNITS))
}

#[cfg(test)]
mod tests {
    use super::{bytes, duration, percent, spark};

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        assert_eq!(duration(Some(999)), "999ns");
        assert_eq!(duration(Some(2_647_132)), "2.65ms");
        assert_eq!(bytes(Some(14_043_504)), "14.0MB");
        assert_eq!(bytes(Some(0)), "0B");
        assert_eq!(percent(Some(0.000_05)), "<0.01%");
        assert_eq!(spark(&[-1, 1, 1, 50, 99], 4), "▁▁▄█");
        assert_eq!(spark(&[7, 7], 8), "▁▁");
    }
}
