//! What stands in the table's cells, and how it sorts.

use std::cmp::Ordering;

use observer_node::history::{
    Row,
    columns::{Column, Format, Value},
};

use super::text::{UNKNOWN, bytes, clean, duration, percent, rate, spark, whole};

/// The column that the table is sorted by at first.
pub(super) const FIRST: &str = "goroutines";
/// What figures take beside a line of blocks.
const FIGURE: usize = 11;

/// What a column says of a row.
pub(super) fn text(column: &Column, row: &Row) -> String {
    let value = match column.value(row) {
        Value::Text(text) => return clean(&text),
        Value::Number(None) => return UNKNOWN.to_owned(),
        Value::Number(Some(value)) => value,
    };
    match column.format {
        Format::Rate => rate(value),
        Format::Duration => duration(value),
        Format::Bytes => bytes(value),
        Format::Share => percent(value),
        Format::Coverage => coverage(row),
        _ => whole(value),
    }
}

/// The same in a cell of this width, with the last minute where there is room.
pub(super) fn cell(column: &Column, row: &Row, width: u16) -> String {
    let text = text(column, row);
    let room = usize::from(width).saturating_sub(FIGURE + 1);
    if column.spark && room > 0 {
        return format!("{} {text:>FIGURE$}", spark(&row.spark, room));
    }
    text
}

fn coverage(row: &Row) -> String {
    let figures = &row.figures;
    if figures.covered == figures.coverable {
        return "full".to_owned();
    }
    format!("{}/{}", figures.covered, figures.coverable)
}

/// Whether the highest stand first at first.
pub(super) const fn falls(column: &Column) -> bool {
    column.is_number() || matches!(column.format, Format::Attention)
}

/// The order of two rows; what is not known goes last in both directions.
pub(super) fn compare(column: &Column, a: &Row, b: &Row, up: bool) -> Ordering {
    let turn = |order: Ordering| if up { order } else { order.reverse() };
    let reasons = |row: &Row| row.figures.attention.len();
    let order = match (column.value(a), column.value(b)) {
        _ if column.format == Format::Attention => turn(reasons(a).cmp(&reasons(b))),
        (Value::Number(Some(a)), Value::Number(Some(b))) => turn(a.total_cmp(&b)),
        (Value::Number(a), Value::Number(b)) => b.is_some().cmp(&a.is_some()),
        (Value::Text(a), Value::Text(b)) => turn(a.cmp(&b)),
        _ => Ordering::Equal,
    };
    order.then(a.key.cmp(&b.key))
}

/// What a row is called: a pod and its container; outside pods the process and its id.
pub(super) fn name(row: &Row) -> String {
    let about = &row.about;
    if about.pod.is_empty() {
        let pid = about.processes.first().map_or(0, |process| process.pid);
        return format!("{} {pid}", clean(&about.process));
    }
    format!("{}/{}", clean(&about.pod), clean(&about.container))
}
