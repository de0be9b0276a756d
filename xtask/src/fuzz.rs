//! Fuzzes the inspection of executables, starting from real ones.

use std::{fs, path::Path};

use anyhow::{Result, ensure};

use crate::{
    fixtures, setup,
    ui::{self, Step},
    workspace::Workspace,
};

const TARGET: &str = "inspect";
/// Seeds: small ones, each with another layout of the function table.
const SEEDS: &[&str] = &[
    "workload-1.17.13-stripped",
    "workload-1.19.13-piestripped",
    "workload-1.22.12-stripped",
    "workload-1.27.4-stripped",
    "workload-1.27.4-cgopiestripped",
];

/// `cargo xtask fuzz`.
pub(crate) fn alone(workspace: &Workspace, seconds: u64) -> Result<()> {
    setup::fuzz(workspace)?;
    setup::go::toolchains(workspace, setup::go::VERSIONS)?;
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
    fs::create_dir_all(&corpus)?;
    for seed in SEEDS {
        let from = fixtures.join(seed);
        let to = corpus.join(seed);
        if from.exists() && !to.exists() {
            fs::copy(from, to)?;
        }
    }
    let mut command = workspace.cargo(["fuzz", "run", "--fuzz-dir", "tests/fuzz"]);
    command
        .arg("--target-dir")
        .arg(workspace.cache.join("target-fuzz"))
        .arg(TARGET)
        .arg(&corpus)
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        // Above the size of the seeds, which would be cut at 1 MiB otherwise.
        .args(["-max_len=4194304", "-timeout=10", "-rss_limit_mb=2048"])
        .arg("-print_final_stats=1")
        // Sanitizers are unstable flags; this lets the pinned stable
        // toolchain take them.
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("CARGO_TARGET_DIR");
    step.run(&mut command)
}
