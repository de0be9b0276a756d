//! Builds of the state fixture that the set-up does not make, held against what they
//! say of themselves.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

use observer_go::{
    binary::{Binary, Inspected, inspect},
    release::StateGap,
};
use observer_tests::{
    agreement::look,
    paths::{self, NEWEST, go},
    release,
    state::Program,
};
use tempfile::TempDir;

/// A build of the newest release that says of itself that it is newer.
pub(crate) fn renamed(directory: &TempDir, variant: &str) -> PathBuf {
    let newer = release::newer(NEWEST);
    let path = directory.path().join(format!("state-{newer}-{variant}"));
    release::renamed(
        &paths::fixture("state", NEWEST, variant),
        &path,
        NEWEST,
        &newer,
    );
    path
}

/// Builds the fixture by a release, with flags of `go build` and GOEXPERIMENT.
pub(crate) fn state(version: &str, built: &Path, flags: &[&str], experiments: &str) {
    fixture("state", version, built, flags, experiments);
}

/// The same, of any fixture.
pub(crate) fn fixture(name: &str, version: &str, built: &Path, flags: &[&str], experiments: &str) {
    let root = go(version);
    let mut command = Command::new(root.join("bin/go"));
    command
        .arg("build")
        .args(flags)
        .arg("-o")
        .arg(built)
        .arg(".")
        .current_dir(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("fixtures")
                .join(name),
        )
        .env("GOROOT", &root)
        .env("GOCACHE", root.join("../../gocache"))
        .env("GOEXPERIMENT", experiments)
        .envs([("GOTOOLCHAIN", "local"), ("GOENV", "off"), ("GOFLAGS", "")])
        .env("CGO_ENABLED", "0");
    let output = command.output().expect("go build");
    assert!(output.status.success(), "{output:?}");
}

/// What an executable is.
pub(crate) fn binary(path: &Path) -> Box<Binary> {
    let file = File::open(path).expect("the program");
    match inspect(&file) {
        Ok(Inspected::Go(binary)) => binary,
        other => panic!("{}: {other:?}", path.display()),
    }
}

/// Runs it and has it do what moves its figures: after each, its state is as it tells.
/// What its samples lack.
pub(crate) fn agrees(path: &Path, binary: &Binary) -> Vec<StateGap> {
    let mut program = Program::start(path);
    let mut reader =
        observer_go::runtime::reader_of(program.pid, binary).unwrap_or_else(|e| panic!("{e}"));
    for letter in ['a', 'g', 'p', 'm', 'c', 'P', 'd', 'a'] {
        program.obey(letter);
        let look = look(&mut reader, &mut program).unwrap_or_else(|e| panic!("{e}"));
        let wrong = &look.agreement.wrong;
        assert!(
            wrong.is_empty(),
            "{} after {letter}: {wrong:#?}",
            path.display()
        );
    }
    reader.gaps().to_vec()
}
