//! Fuzzes the inspection of executables, starting from real ones.

use std::{fs, path::Path};

use anyhow::{Result, ensure};
use observer_releases::{NEWEST, OLDEST, VERSIONS, go1};

use crate::{
    fixtures, setup,
    ui::{self, Step},
    workspace::Workspace,
};

const TARGET: &str = "inspect";
/// Builds of a program to change, each with another layout of the function table.
const BUILDS: [(&str, &str); 5] = [
    (OLDEST, "stripped"),
    (go1(19), "piestripped"),
    (go1(22), "stripped"),
    (NEWEST, "cgopiestripped"),
    (NEWEST, "stripped"),
];

/// `cargo xtask fuzz`.
pub(crate) fn alone(workspace: &Workspace, seconds: u64) -> Result<()> {
    setup::fuzz(workspace)?;
    setup::go::toolchains(workspace, &VERSIONS)?;
    let fixtures = fixtures::build(workspace)?;
    ui::step(&format!("fuzz for {seconds} s"), |step| {
        run(workspace, step, &fixtures, seconds)
    })
}

/// Runs the fuzzer; what it finds stays in the cache for the next run.
pub(crate) fn run(workspace: &Workspace, step: &Step, fixtures: &Path, seconds: u64) -> Result<()> {
    let package = workspace.root.join("tests/fuzz");
    ensure!(
        package.join("Cargo.toml").exists(),
        "{} is missing: the fuzz target `{TARGET}` is expected there",
        package.display()
    );
    let corpus = workspace.cache.fuzz_corpus().join(TARGET);
    let programs = workspace.cache.fuzz_corpus().join("programs");
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&programs)?;
    for (number, (version, variant)) in BUILDS.iter().enumerate() {
        let name = format!("workload-{version}-{variant}");
        fs::copy(fixtures.join(&name), programs.join(&name))?;
        // One unchanged program each, to begin with.
        fs::write(corpus.join(&name), [number as u8])?;
    }
    let mut command = workspace.cargo(["fuzz", "run", "--fuzz-dir", "tests/fuzz"]);
    command
        .arg("--target-dir")
        .arg(workspace.cache.join("target-fuzz"))
        .arg(TARGET)
        .arg(&corpus)
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .args(["-max_len=4096", "-timeout=10", "-rss_limit_mb=2048"])
        .arg("-print_final_stats=1")
        // Sanitizers are unstable flags; this lets the pinned stable
        // toolchain take them.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("OBSERVER_FUZZ_PROGRAMS", &programs)
        .env_remove("CARGO_TARGET_DIR");
    step.run(&mut command)
}
