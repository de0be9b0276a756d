//! A release of Go that is newer than the observer: read only where the
//! program itself tells how.

use std::{
    fs,
    path::{Path, PathBuf},
};

use observer_tests::{
    paths::{NEWEST, go},
    release,
};
use tempfile::TempDir;

use crate::builds::{self, renamed};

/// Builds the fixture with a runtime whose structs have more fields than they
/// ever had, early in each: nearly everything lies elsewhere.
fn moved(directory: &TempDir) -> PathBuf {
    let root = go(NEWEST);
    let runtime = root.join("src/runtime/runtime2.go");
    let mut source = fs::read_to_string(&runtime).expect("the runtime's source");
    for (before, more) in [
        ("type schedt struct {\n", "observerPad [3]uint64\n"),
        ("\tatomicstatus ", "\n\tobserverPad [2]uint64\n"),
        ("\tmcache      *mcache", "\n\tobserverPad [5]uint64\n"),
        ("\talllink         *m", "\n\tobserverPad [4]uint64\n"),
    ] {
        let at = source.find(before).unwrap_or_else(|| panic!("{before:?}"));
        let at = if before.ends_with('\n') {
            at + before.len()
        } else {
            at
        };
        source.insert_str(at, more);
    }
    let changed = directory.path().join("runtime2.go");
    fs::write(&changed, source).expect("the changed source");
    let overlay = directory.path().join("overlay.json");
    let replace = serde_json::json!({ "Replace": { runtime.display().to_string(): changed } });
    fs::write(&overlay, replace.to_string()).expect("the overlay");
    let built = directory.path().join("moved");
    let overlay = overlay.to_string_lossy();
    builds::state(NEWEST, &built, &["-overlay", &overlay], "");
    release::renamed(&built, &built, NEWEST, &release::newer(NEWEST));
    built
}

fn exact(path: &Path) {
    let binary = builds::binary(path);
    assert_eq!(binary.version, format!("go{}", release::newer(NEWEST)));
    assert!(binary.state.gaps.is_empty(), "{:?}", binary.state.gaps);
    let gaps = builds::agrees(path, &binary);
    assert!(gaps.is_empty(), "{gaps:?}");
}

#[test]
fn what_describes_itself_is_exact() {
    let directory = tempfile::tempdir().expect("a directory");
    for variant in ["default", "pie", "cgo"] {
        exact(&renamed(&directory, variant));
    }
}

#[test]
fn fields_that_moved_are_read_where_they_are() {
    let directory = tempfile::tempdir().expect("a directory");
    exact(&moved(&directory));
}
