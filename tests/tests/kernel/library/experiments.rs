//! Builds that are no plain release of Go: Go's own experiments, candidates,
//! vendors' versions. Their figures are right, or absent with the reason.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use observer::gobinary::{Binary, Figure, Inspected, Reason, inspect};
use observer_tests::{
    agreement::look,
    paths::{fixture, go},
    release,
    state::Program,
};

/// A release, and experiments that move what is read of its runtime.
const EXPERIMENTS: [(&str, &str); 3] = [
    ("1.26.8", "nogreenteagc"),
    ("1.23.12", "staticlockranking"),
    ("1.22.12", "staticlockranking"),
];

fn built(directory: &Path, version: &str, experiments: &str, flags: &[&str]) -> PathBuf {
    let root = go(version);
    let built = directory.join(format!("{version}-{experiments}-{}", flags.len()));
    let output = Command::new(root.join("bin/go"))
        .arg("build")
        .args(flags)
        .arg("-o")
        .arg(&built)
        .arg(".")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/state"))
        .env("GOROOT", &root)
        .env("GOCACHE", root.join("../../gocache"))
        .env("GOEXPERIMENT", experiments)
        .envs([("GOTOOLCHAIN", "local"), ("GOENV", "off"), ("GOFLAGS", "")])
        .env("CGO_ENABLED", "0")
        .output()
        .expect("go build");
    assert!(output.status.success(), "{output:?}");
    built
}

fn binary(path: &Path) -> Box<Binary> {
    let file = fs::File::open(path).expect("the program");
    match inspect(&file) {
        Ok(Inspected::Go(binary)) => binary,
        other => panic!("{}: {other:?}", path.display()),
    }
}

fn is_left_out(binary: &Binary, figure: Figure) -> bool {
    let gaps = binary.state.gaps.iter().chain(&binary.plan.gaps);
    let mut reasons = gaps.filter(|gap| gap.figure == figure);
    reasons.any(|gap| gap.reason == Reason::UnverifiedBuild)
}

/// The state is as the program tells it, or there is none and the reason is told.
fn is_true(path: &Path) {
    let binary = binary(path);
    if binary.state.globals.is_none() {
        assert!(binary.layout().is_none());
        for figure in Figure::STATE {
            assert!(
                is_left_out(&binary, figure),
                "{}: {figure:?}",
                path.display()
            );
        }
        return;
    }
    let mut program = Program::start(path);
    let mut reader =
        observer::runtime::reader_of(program.pid, &binary).unwrap_or_else(|e| panic!("{e}"));
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
}

#[test]
fn experiments_are_read_as_they_describe_themselves_or_not_at_all() {
    let directory = tempfile::tempdir().expect("a directory");
    for (version, experiments) in EXPERIMENTS {
        is_true(&built(directory.path(), version, experiments, &[]));
        // Stripped, nothing describes it.
        let stripped = built(directory.path(), version, experiments, &["-ldflags=-s -w"]);
        let stripped = binary(&stripped);
        assert!(stripped.state.globals.is_none(), "{version} {experiments}");
        for figure in Figure::STATE {
            assert!(is_left_out(&stripped, figure), "{version}: {figure:?}");
        }
    }
}

#[test]
fn what_only_calls_itself_like_a_release_is_none() {
    let directory = tempfile::tempdir().expect("a directory");
    for name in ["1.27b4", "1.27-4", "1.27 4"] {
        let path = directory.path().join(name);
        let named = |variant: &str| {
            release::renamed(&fixture("state", "1.27.4", variant), &path, "1.27.4", name);
            binary(&path)
        };
        let stripped = named("stripped");
        for figure in Figure::all() {
            assert!(is_left_out(&stripped, figure), "{name}: {figure:?}");
        }
        assert!(stripped.plan.sites.is_empty() && stripped.layout().is_none());
        // Its own debug information says that it is as the release.
        assert!(named("default").layout().is_some(), "{name}");
        is_true(&path);
    }
}
