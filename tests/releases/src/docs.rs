//! What pages and manifests say of releases, against `versions.toml`.

use std::{fs, path::PathBuf};

use crate::{COUNT, GO, NEWEST, OLDEST, guest_of_arm64, minor};

/// Ways of building (`tests/fixtures/README.md`).
const VARIANTS: usize = 6;

/// Pages that say which releases are observed. CHANGELOG.md keeps what was true then.
const PAGES: [&str; 5] = [
    "README.md",
    "docs/install.md",
    "docs/limits.md",
    "docs/metrics.md",
    "docs/troubleshooting.md",
];

fn read(path: &str) -> String {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A page as one line, since a statement may go over two.
fn page(path: &str) -> String {
    read(path).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The numbers that stand in a page right behind these words.
fn behind(page: &str, words: &str) -> Vec<u32> {
    let number = |text: &str| {
        let digits = text.find(|c: char| !c.is_ascii_digit());
        text[..digits.unwrap_or(text.len())].parse().ok()
    };
    page.split(words).skip(1).filter_map(number).collect()
}

#[test]
fn pages_name_the_oldest_and_the_newest_release() {
    let (old, new) = (minor(OLDEST), minor(NEWEST));
    for path in PAGES {
        let page = page(path);
        let range = format!("1.{old} to 1.");
        let (upper, newer) = (behind(&page, &range), behind(&page, "ewer than 1."));
        let older = behind(&page, "lder than 1.");
        let said = [upper, newer].concat();
        assert!(!said.is_empty(), "{path} names no newest release");
        for said in said {
            assert_eq!(said, new, "{path} must name Go 1.{new} as the newest");
        }
        for said in older {
            assert_eq!(said, old, "{path} must name Go 1.{old} as the oldest");
        }
    }
}

#[test]
fn pages_name_the_number_of_builds() {
    for path in ["README.md", "docs/metrics.md"] {
        let said = format!("ll {} combinations agree", COUNT * VARIANTS);
        assert!(page(path).contains(&said), "{path} must say \"a{said}\"");
    }
}

/// The table of coverage has each minor release in one row, and says of each whether programs
/// for arm64 are run.
#[test]
fn the_table_of_coverage_has_every_release() {
    let text = read("docs/metrics.md");
    let (_, table) = text.split_once("| Go | default |").expect("the table");
    let (table, _) = table.split_once("\n\n").expect("its end");
    let mut covered = Vec::new();
    for row in table.lines().skip(2) {
        let cell = row.split('|').nth(1).unwrap_or_default().trim();
        if !cell.starts_with("1.") {
            continue;
        }
        let minors: Vec<_> = match cell.split_once(" to ") {
            Some((first, last)) => (minor(first)..=minor(last)).collect(),
            None => cell.split(", ").map(minor).collect(),
        };
        let said = row.split('|').nth(8).unwrap_or_default().trim();
        for minor in &minors {
            let programs = format!("state-1.{minor}.");
            let is_run = guest_of_arm64()
                .iter()
                .any(|name| name.starts_with(&programs));
            let expected = if is_run { "exact" } else { "inspected only" };
            assert_eq!(said, expected, "1.{minor} on arm64");
        }
        covered.extend(minors);
    }
    let all: Vec<_> = (minor(OLDEST)..=minor(NEWEST)).collect();
    assert_eq!(
        covered, all,
        "docs/metrics.md, coverage of state by release"
    );
}

#[test]
fn the_example_is_built_with_releases_that_are_tested() {
    let image = format!("newTag: go{NEWEST}\n");
    let path = "deploy/examples/burst/kustomization.yaml";
    assert!(read(path).contains(&image), "{path} must say {image}");
    let argument = format!("ARG GO=1.{}\n", minor(GO));
    let path = "deploy/examples/burst/Dockerfile";
    assert!(read(path).contains(&argument), "{path} must say {argument}");
}

/// Whoever adds a release finds there what to do.
#[test]
fn the_steps_name_what_is_there() {
    let page = page("docs/new-go-release.md");
    for path in [
        "observer/go/versions.toml",
        "observer/go/src/release/rules.rs",
        "observer/go/src/release/layouts.tsv",
    ] {
        assert!(page.contains(path), "{path}");
        read(path);
    }
}
