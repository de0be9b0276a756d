//! `cargo xtask layouts`: where the fields of Go's runtime lie in each
//! release, read from what that release's compiler says about them.
//!
//! The reading is done by a small Go program (`xtask/layouts/main.go`), since
//! Go's standard library reads its own compiler's debug information in every
//! version it was ever written in.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};
use observer_releases::VERSIONS;

use crate::{setup, ui::step, workspace::Workspace};

/// The table, in the repository.
const TABLE: &str = "observer/go/src/release/layouts.tsv";

/// `cargo xtask layouts`: the releases that the table names, those that the tests
/// build with, and more.
pub(crate) fn layouts(workspace: &Workspace, more: &[String]) -> anyhow::Result<()> {
    let table = workspace.root.join(TABLE);
    let text =
        fs::read_to_string(&table).with_context(|| format!("reading {}", table.display()))?;
    let mut names = releases(&text);
    names.extend(VERSIONS);
    for release in more {
        if numbers(release).len() != release.split('.').count() {
            bail!("`{release}` is no release of Go: expected one such as 1.27.4");
        }
        names.push(release);
    }
    names.sort_by_key(|release| numbers(release));
    names.dedup();
    // From 1.21 on, the first release of a minor version is x.y.0; before, x.y.
    let tags: Vec<_> = names.iter().map(|release| tag(release)).collect();
    let tags: Vec<_> = tags.iter().map(String::as_str).collect();
    setup::go::toolchains(workspace, &tags)?;
    let toolchains: Vec<_> = names
        .iter()
        .zip(&tags)
        .map(|(name, tag)| ((*name).to_owned(), setup::go::root(workspace, tag)))
        .collect();
    step(&format!("layouts of {} releases", names.len()), |step| {
        run(&toolchains, &table)?;
        let now =
            fs::read_to_string(&table).with_context(|| format!("reading {}", table.display()))?;
        step.note(if now == text {
            "the table is as it was"
        } else {
            "the table has changed"
        });
        Ok(())
    })
}

/// The releases of a table's second line.
fn releases(table: &str) -> Vec<&str> {
    let line = table
        .lines()
        .find_map(|line| line.strip_prefix("releases\t"));
    line.map_or_else(Vec::new, |line| line.split('\t').collect())
}

/// A release as Go names its toolchain: 1.17.0 is 1.17, 1.21.0 is 1.21.0.
fn tag(release: &str) -> String {
    match (release.strip_suffix(".0"), numbers(release).get(1)) {
        (Some(short), Some(minor)) if *minor < 21 => short.to_owned(),
        _ => release.to_owned(),
    }
}

/// Builds the fixture with every toolchain, for amd64 and arm64, and writes
/// the table to `out`. `toolchains` are version (`1.26.8`, `1.17`) and GOROOT;
/// each must be a tree whose `bin/go` runs. The newest runs the program.
///
/// A field is taken to lie between two releases of the list where it lies in
/// both; so the list should have, of every minor version, the first and the
/// last patch, and both sides of every patch that moved a field.
fn run(toolchains: &[(String, PathBuf)], out: &Path) -> anyhow::Result<()> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("layouts");
    let Some((_, newest)) = toolchains
        .iter()
        .max_by_key(|(version, _)| numbers(version))
    else {
        bail!("no Go toolchain is given to read layouts from");
    };
    let work = env::temp_dir().join(format!("go-observer-layouts-{}", std::process::id()));
    fs::create_dir_all(&work).with_context(|| format!("creating {}", work.display()))?;
    let result = read(toolchains, newest, &source, &work, out);
    fs::remove_dir_all(&work).with_context(|| format!("removing {}", work.display()))?;
    result
}

fn read(
    toolchains: &[(String, PathBuf)],
    newest: &Path,
    source: &Path,
    work: &Path,
    out: &Path,
) -> anyhow::Result<()> {
    let go = newest.join("bin/go");
    let status = Command::new(&go)
        .arg("run")
        .arg(source.join("main.go"))
        .arg("-fixture")
        .arg(source.join("fixture/main.go"))
        .arg("-work")
        .arg(work)
        .arg("-out")
        .arg(out)
        .args(
            toolchains
                .iter()
                .map(|(version, root)| format!("{version}={}", root.display())),
        )
        .current_dir(work)
        .env("GOROOT", newest)
        .env("GOTOOLCHAIN", "local")
        .env("GOENV", "off")
        .env("GOFLAGS", "")
        .env("GO111MODULE", "off")
        .status()
        .with_context(|| format!("running {}", go.display()))?;
    if !status.success() {
        bail!(
            "{} run {}/main.go: {status}",
            go.display(),
            source.display()
        );
    }
    Ok(())
}

/// `1.26.8` as numbers, to tell the newest.
fn numbers(version: &str) -> Vec<u32> {
    version
        .split('.')
        .filter_map(|part| part.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use observer_releases::VERSIONS;

    use super::{numbers, releases, tag};

    #[test]
    fn the_tables_releases_are_read() {
        let table = include_str!("../../observer/go/src/release/layouts.tsv");
        let releases = releases(table);
        assert!(VERSIONS.iter().all(|version| releases.contains(version)));
        assert!(
            releases.iter().all(|r| numbers(r).len() == 3),
            "{releases:?}"
        );
    }

    #[test]
    fn first_releases_are_named_as_go_names_them() {
        assert_eq!(tag("1.20.0"), "1.20");
        assert_eq!(tag("1.21.0"), "1.21.0");
        assert_eq!(tag("1.27.10"), "1.27.10");
    }

    #[test]
    fn the_newest_is_told_by_number() {
        assert!(numbers("1.26.10") > numbers("1.26.8"));
        assert!(numbers("1.17") < numbers("1.17.1"));
    }
}
