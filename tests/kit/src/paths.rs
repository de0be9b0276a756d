//! Where the programs are that the tests run.

use std::{env, fs, path::PathBuf};

pub use observer_releases::{GO, NEWEST, OLDEST, VERSIONS, go1, minor};

/// All ways of building of the matrix.
pub const VARIANTS: [&str; 6] = [
    "default",
    "stripped",
    "pie",
    "piestripped",
    "cgo",
    "cgopiestripped",
];

/// The observer's release binary: static in the tests, as it is in the image.
pub fn observer() -> PathBuf {
    from_env("OBSERVER_BIN")
}

/// An observer that takes the libraries of `LD_PRELOAD`.
pub fn dynamic_observer() -> PathBuf {
    from_env("OBSERVER_DYNAMIC")
}

/// A Go program built for the tests.
pub fn fixture(name: &str, version: &str, variant: &str) -> PathBuf {
    let path = from_env("OBSERVER_FIXTURES").join(format!("{name}-{version}-{variant}"));
    assert!(
        path.is_file(),
        "{} is not there; run cargo xtask test",
        path.display()
    );
    path
}

/// The Go programs for arm64 that were built for the tests, in the order of their names.
/// Those with cgo may be missing.
pub fn fixtures_of_arm64() -> Vec<PathBuf> {
    let directory = from_env("OBSERVER_FIXTURES_ARM64");
    let entries =
        fs::read_dir(&directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

/// The GOROOT of a release.
pub fn go(version: &str) -> PathBuf {
    from_env("OBSERVER_GO").join(version)
}

fn from_env(name: &str) -> PathBuf {
    let path = PathBuf::from(
        env::var_os(name).unwrap_or_else(|| panic!("{name} is not set; run cargo xtask test")),
    );
    assert!(
        path.exists(),
        "{name}={} is not there; run cargo xtask test",
        path.display()
    );
    path
}
