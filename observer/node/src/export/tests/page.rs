//! docs/metrics.md is of the table of families.

use std::collections::BTreeSet;

use crate::export::{
    families,
    family::{Family, Kind},
};

/// What the page says of a family, under its name in Prometheus text.
fn row(family: &Family) -> String {
    let (kind, end) = match family.kind {
        Kind::Counter => ("counter", "_total"),
        Kind::Clashing => ("counter", ""),
        Kind::Gauge => ("gauge", ""),
        Kind::Histogram => ("histogram", ""),
        Kind::Summary => ("summary", ""),
    };
    let Family {
        name, help, source, ..
    } = family;
    let unit = family.unit.unwrap_or_default();
    format!("| `{name}{end}` | {kind} | {unit} | {help} | {source} |")
}

#[test]
fn the_page_has_each_family_and_no_other() {
    let page = include_str!("../../../../../docs/metrics.md");
    let is_family = |line: &&str| {
        let begins = ["| `go_", "| `observer_", "| `process_"];
        // The adapter has a registry of its own.
        begins.iter().any(|begin| line.starts_with(begin))
            && !line.starts_with("| `observer_adapter_")
    };
    let said: BTreeSet<String> = page.lines().filter(is_family).map(str::to_owned).collect();
    let exported: BTreeSet<String> = families::all().map(row).collect();
    let lacks: Vec<_> = exported.difference(&said).collect();
    let beyond: Vec<_> = said.difference(&exported).collect();
    assert!(
        lacks.is_empty() && beyond.is_empty(),
        "docs/metrics.md lacks {lacks:#?}\nand has what is no family: {beyond:#?}"
    );
}
