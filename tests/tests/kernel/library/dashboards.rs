//! The Grafana boards in `deploy/dashboards` are what the description says,
//! and ask for nothing that is not exported.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use observer_node::export::{Kind, boards::BOARDS, families};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/dashboards")
}

#[test]
fn the_files_are_those_of_the_description() {
    let mut expected = BTreeSet::from(["kustomization.yaml".to_owned()]);
    let list = fs::read_to_string(folder().join("kustomization.yaml")).expect("the list of boards");
    for board in &BOARDS {
        let name = format!("{}.json", board.uid);
        let text = fs::read_to_string(folder().join(&name)).unwrap_or_default();
        let found: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        assert_eq!(found, board.json(), "{name}: run cargo xtask dashboards");
        assert!(list.contains(&name), "{name} is not in kustomization.yaml");
        expected.insert(name);
    }
    let found: BTreeSet<String> = fs::read_dir(folder())
        .expect("the folder of boards")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| Path::new(name).extension().is_none_or(|it| it != "png"))
        .collect();
    assert_eq!(found, expected);
}

/// The names of a family's samples in Prometheus.
fn samples() -> BTreeSet<String> {
    let mut samples = BTreeSet::new();
    for family in families::all() {
        let suffixes: &[&str] = match family.kind {
            Kind::Counter => &["_total"],
            Kind::Histogram => &["_bucket", "_sum", "_count"],
            Kind::Summary => &["_sum", "_count"],
            Kind::Gauge | Kind::Clashing => &[""],
        };
        samples.extend(
            suffixes
                .iter()
                .map(|suffix| format!("{}{suffix}", family.name)),
        );
    }
    samples
}

/// Names in a text that can only be of our families.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| {
        ["go_", "observer_", "process_"]
            .iter()
            .any(|start| word.starts_with(start))
    })
}

/// The same of what the page gives to take along: queries of families, and
/// autoscalers of the adapter's metrics.
#[test]
fn what_the_page_copies_is_served() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| fs::read_to_string(root.join(path)).expect(path);
    let copy = read("observer/node/src/page/copy.js");
    let (queries, autoscalers) = copy.split_once("const METRICS").expect("both");
    let (samples, metrics) = (samples(), read("deploy/adapter/METRICS.md"));
    assert!(names(queries).count() >= 6 && names(autoscalers).count() >= 4);
    for name in names(queries) {
        assert!(samples.contains(name), "{name}");
    }
    for name in names(autoscalers) {
        assert!(metrics.contains(&format!("| `{name}` |")), "{name}");
    }
}

#[test]
fn every_query_asks_for_what_is_exported() {
    let samples = samples();
    let mut asked = 0;
    for board in &BOARDS {
        for query in board.queries() {
            for word in names(query) {
                assert!(samples.contains(word), "{}: {word} in {query}", board.uid);
                asked += 1;
            }
        }
    }
    assert!(asked > 30, "{asked}");
}
