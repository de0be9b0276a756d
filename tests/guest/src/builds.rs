//! The Go programs that this guest was given.

use std::{env, fs, path::PathBuf};

/// Every build of a fixture, in the order of their names; at least `least`, so
/// that a guest without programs proves nothing.
pub(crate) fn of(fixture: &str, least: usize) -> Vec<PathBuf> {
    let directory = env::var("OBSERVER_FIXTURES").expect("OBSERVER_FIXTURES is not set");
    let prefix = format!("{fixture}-");
    let entries = fs::read_dir(&directory).unwrap_or_else(|e| panic!("{directory}: {e}"));
    let mut found: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| name(path).starts_with(&prefix))
        .collect();
    found.sort();
    assert!(
        found.len() >= least,
        "{} builds of {fixture} in {directory}, at least {least} are wanted",
        found.len()
    );
    found
}

/// A build's file name.
pub(crate) fn name(path: &std::path::Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
