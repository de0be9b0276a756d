//! Builds that are no plain release of Go: Go's own experiments, candidates,
//! vendors' versions. Their figures are right, or absent with the reason.

use std::path::{Path, PathBuf};

use observer_go::binary::{Binary, FigureGroup, Reason};
use observer_tests::{
    paths::{NEWEST, VERSIONS, fixture, go1, minor},
    release,
};

use crate::builds::{self, binary};

/// A release, and experiments that move what is read of its runtime.
const EXPERIMENTS: [(&str, &str); 3] = [
    (go1(26), "nogreenteagc"),
    (go1(23), "staticlockranking"),
    (go1(22), "staticlockranking"),
];

fn built(directory: &Path, version: &str, experiments: &str, flags: &[&str]) -> PathBuf {
    let built = directory.join(format!("{version}-{experiments}-{}", flags.len()));
    builds::state(version, &built, flags, experiments);
    built
}

fn is_left_out(binary: &Binary, figure: FigureGroup) -> bool {
    let gaps = binary.state.gaps.iter().chain(&binary.plan.gaps);
    let mut reasons = gaps.filter(|gap| gap.figure == figure);
    reasons.any(|gap| gap.reason == Reason::UnverifiedBuild)
}

/// The state is as the program tells it, or there is none and the reason is told.
fn is_true(path: &Path) {
    let binary = binary(path);
    if binary.state.globals.is_none() {
        assert!(binary.layout().is_none());
        for figure in FigureGroup::STATE {
            assert!(
                is_left_out(&binary, figure),
                "{}: {figure:?}",
                path.display()
            );
        }
        return;
    }
    builds::agrees(path, &binary);
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
        for figure in FigureGroup::STATE {
            assert!(is_left_out(&stripped, figure), "{version}: {figure:?}");
        }
    }
}

/// A version with the patch of this one, but of this minor release and with this
/// before the patch: `1.27b4`.
fn alike(version: &str, minor: u32, between: &str) -> String {
    let (_, patch) = version.rsplit_once('.').expect("a patch");
    format!("1.{minor}{between}{patch}")
}

#[test]
fn what_only_calls_itself_like_a_release_is_none() {
    let directory = tempfile::tempdir().expect("a directory");
    for between in ["b", "-", " "] {
        let name = &alike(NEWEST, minor(NEWEST), between);
        let path = directory.path().join(name);
        let named = |variant: &str| {
            release::renamed(&fixture("state", NEWEST, variant), &path, NEWEST, name);
            binary(&path)
        };
        let stripped = named("stripped");
        for figure in FigureGroup::all() {
            assert!(is_left_out(&stripped, figure), "{name}: {figure:?}");
        }
        assert!(stripped.plan.sites.is_empty() && stripped.layout().is_none());
        // Its own debug information says that it is as the release.
        assert!(named("default").layout().is_some(), "{name}");
        is_true(&path);
    }
}

/// Nothing is read or counted of it, and that is told of each figure.
fn is_left_out_whole(path: &Path, name: &str) {
    let binary = binary(path);
    assert!(binary.plan.sites.is_empty(), "{name}");
    assert!(binary.layout().is_none(), "{name}");
    for figure in FigureGroup::all() {
        assert!(is_left_out(&binary, figure), "{name}: {figure:?}");
    }
}

/// Releases whose names are as long as this one's.
fn others(version: &str) -> impl Iterator<Item = &'static str> {
    let others = VERSIONS.into_iter();
    others.filter(move |other| *other != version && other.len() == version.len())
}

/// A vendor's build may go by the name of a release that it is not.
#[test]
fn what_goes_by_another_release_is_left_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("renamed");
    for version in VERSIONS {
        for other in others(version) {
            for variant in ["default", "stripped"] {
                release::renamed(&fixture("state", version, variant), &path, version, other);
                is_left_out_whole(&path, &format!("{version} {variant} as {other}"));
            }
        }
    }
}

/// Also where the version tells of experiments, and the file tells how it lies: that a
/// build is doubtful makes it no build of the release.
#[test]
fn an_experiment_that_goes_by_another_release_is_left_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("renamed");
    for (version, experiments) in EXPERIMENTS {
        for flags in [&[][..], &["-ldflags=-s -w"][..]] {
            let built = built(directory.path(), version, experiments, flags);
            for other in others(version) {
                release::renamed(&built, &path, version, other);
                let name = format!("{version} as {other} X:{experiments}, {flags:?}");
                assert!(binary(&path).version.contains("X:"), "{name}");
                is_left_out_whole(&path, &name);
            }
        }
    }
}

/// Candidates and vendors' versions of a release that the runtime is not of, and of one
/// that is not there yet.
#[test]
fn a_version_of_its_own_of_another_release_is_left_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("renamed");
    let (newest, before) = (minor(NEWEST), VERSIONS[VERSIONS.len() - 2]);
    for (version, other) in [
        (NEWEST, alike(NEWEST, newest - 1, "b")),
        (NEWEST, alike(NEWEST, newest - 1, "-")),
        (before, alike(before, newest, "b")),
        (before, alike(before, newest + 1, ".")),
        (before, alike(before, newest + 1, "-")),
    ] {
        for variant in ["default", "stripped"] {
            release::renamed(&fixture("state", version, variant), &path, version, &other);
            is_left_out_whole(&path, &format!("{version} {variant} as {other}"));
        }
    }
}
