//! The tests on this machine's kernel: `tests/tests/kernel/main.rs` says which of them
//! run beside which.

use std::{panic, path::Path, process::Command, thread};

use anyhow::Result;

use super::as_root::as_root;
use crate::{
    again::{Again, failed_of_libtest},
    arch::Arch,
    build, cluster, fixtures, image,
    slowest::{ALLOWED, TIMED},
    ui::{Step, step},
    workspace::Workspace,
};

/// Those that may run beside one another.
const BESIDE: &str = "beside::";
/// So many at a time. They mostly wait; more would wait for a processor.
const AT_A_TIME: &str = "--test-threads=3";
/// Those that may run beside an observer.
const LIBRARY: &str = "library::";
/// Those that nothing may run beside.
const ALONE: &str = "alone::";
const ONE_BY_ONE: &str = "--test-threads=1";

pub(super) fn run(
    workspace: &Workspace,
    programs: &Path,
    filter: Option<&str>,
    again: &Again,
) -> Result<()> {
    let observer = image::program(workspace, Arch::Amd64)?;
    // For the one test that gives the observer another C library.
    let dynamic = build::dynamic_observer(workspace)?;
    // Of the manifests' release, not whichever the machine has.
    cluster::prepare(workspace)?;
    let kubectl = cluster::kubectl_binary(workspace);
    // They are only inspected.
    let foreign = fixtures::build(workspace, Arch::Arm64)?;
    let (allowed, yes) = ALLOWED;
    let more = [
        ("OBSERVER_BIN", observer.into_os_string()),
        ("OBSERVER_DYNAMIC", dynamic.into_os_string()),
        ("OBSERVER_KUBECTL", kubectl.into_os_string()),
        ("OBSERVER_FIXTURES_ARM64", foreign.into_os_string()),
        (allowed, yes.into()),
    ];
    let cargo = |args: &[&str]| {
        as_root(workspace, programs, &["test"], &more).map(|mut command| {
            command.args(["--locked", "--package", "observer-tests"]);
            command.args(args);
            command
        })
    };
    // What is said to cargo, and to the program of tests.
    let test =
        |args: &[&str], of_tests: &[&str]| cargo(&[args, &["--"], of_tests, &TIMED].concat());
    // Each of them is in this one program.
    let alone = |name: &str| test(&["--test", "kernel", name], &["--exact"]);
    let run =
        |step: &Step, command: &mut Command| again.run(step, command, failed_of_libtest, alone);
    if let Some(filter) = filter {
        let mut command = test(&["--tests", "--no-fail-fast", filter], &[ONE_BY_ONE])?;
        return step("tests on the kernel", |step| run(step, &mut command));
    }
    step("build of the tests on the kernel", |step| {
        step.run(&mut cargo(&["--tests", "--no-run"])?)
    })?;
    let only = |name, threads| test(&["--test", "kernel", name], &[threads]);
    let skip = ["--skip", BESIDE, "--skip", LIBRARY, "--skip", ALONE];
    let others = [&[ONE_BY_ONE][..], &skip].concat();
    let mut others = test(&["--tests", "--no-fail-fast"], &others)?;
    let mut library = only(LIBRARY, ONE_BY_ONE)?;
    let beside = step("tests on the kernel, side by side", |step| {
        run(step, &mut only(BESIDE, AT_A_TIME)?)
    });
    let others = step("tests on the kernel, one by one", |step| {
        thread::scope(|scope| {
            let library = scope.spawn(|| run(step, &mut library));
            let others = run(step, &mut others);
            let library = library
                .join()
                .unwrap_or_else(|panic| panic::resume_unwind(panic));
            others.and(library)
        })
    });
    // A failure of the one says nothing of the other.
    beside.and(others)?;
    step("tests on the kernel, alone", |step| {
        run(step, &mut only(ALONE, ONE_BY_ONE)?)
    })
}
