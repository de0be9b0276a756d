//! Where the programs are that the tests run.

use std::{env, path::PathBuf};

/// All Go versions of the matrix.
pub const VERSIONS: [&str; 11] = [
    "1.17.13", "1.18.10", "1.19.13", "1.20.14", "1.21.13", "1.22.12", "1.23.12", "1.24.9",
    "1.25.5", "1.26.8", "1.27.4",
];

/// All ways of building of the matrix.
pub const VARIANTS: [&str; 6] = [
    "default",
    "stripped",
    "pie",
    "piestripped",
    "cgo",
    "cgopiestripped",
];

/// The Go version of tests that need just one.
pub const GO: &str = "1.26.8";

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
