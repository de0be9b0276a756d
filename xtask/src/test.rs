//! Everything a change must pass.

mod as_root;
pub(crate) mod cluster;
mod dependencies;
mod kernel;
#[cfg(test)]
mod never;
mod page;
mod stage;

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use observer_releases::NEWEST;

use crate::{
    again::Again,
    arch::Arch,
    fixtures, fuzz, graph, image, setup,
    ui::{self, step},
    vm,
    workspace::Workspace,
};

pub(crate) use as_root::as_root;
pub(crate) use stage::Stage;

use as_root::this_program;
use stage::{Needed, needed, select};

/// How long the test command fuzzes, all targets together.
const FUZZ_SECONDS: u64 = 20;

/// `cargo xtask test`: stops at the first step that fails.
pub(crate) fn test(
    workspace: &Workspace,
    filter: Option<&str>,
    only: &[Stage],
    retry_failed: bool,
) -> Result<()> {
    let again = Again::new(retry_failed);
    let stages = select(filter, only);
    match needed(&stages) {
        Needed::Nothing => {}
        Needed::Build => setup::build(workspace)?,
        Needed::Everything => setup::everything(workspace)?,
    }
    let mut report = Vec::new();
    let mut fixtures = None;
    let started = Instant::now();
    let mut ahead = None;
    for stage in &stages {
        let start = Instant::now();
        eprintln!("── {}", stage.name());
        match stage {
            Stage::Lints if stages.contains(&Stage::Build) => ahead = build_ahead(workspace),
            Stage::Build => wait(ahead.take()),
            _ => {}
        }
        let result = run(workspace, *stage, filter, &again, &mut fixtures);
        report.push((*stage, start.elapsed(), result.is_ok()));
        if let Err(error) = result {
            // The reason may be long; the verdict stands below it.
            eprintln!("error: {error:#}");
            summarize(&report, &stages, &again, started.elapsed());
            let repeat = filter.map_or_else(String::new, |filter| format!(" {filter}"));
            bail!(
                "step `{0}` failed; repeat it with: cargo xtask test --step {0}{repeat}",
                stage.name()
            );
        }
    }
    summarize(&report, &stages, &again, started.elapsed());
    Ok(())
}

fn summarize(report: &[(Stage, Duration, bool)], stages: &[Stage], again: &Again, took: Duration) {
    eprintln!("──");
    for (stage, took, passed) in report {
        let mark = if *passed { '✓' } else { '✗' };
        eprintln!("{mark} {:<10} {}", stage.name(), ui::seconds(*took));
    }
    for stage in &stages[report.len()..] {
        eprintln!("- {:<10} not run", stage.name());
    }
    for name in again.needed() {
        eprintln!("! {name} failed at first, and passed alone: look for the race");
    }
    let passed = report.iter().filter(|(_, _, passed)| *passed).count();
    let verdict = if passed == stages.len() {
        "passed"
    } else {
        "FAILED"
    };
    eprintln!(
        "{verdict}: {passed} of {} steps passed, {}",
        stages.len(),
        ui::seconds(took)
    );
}

fn run(
    workspace: &Workspace,
    stage: Stage,
    filter: Option<&str>,
    again: &Again,
    built: &mut Option<PathBuf>,
) -> Result<()> {
    let mut fixtures = || match built.clone() {
        Some(path) => Ok(path),
        None => fixtures::build(workspace, Arch::Amd64).inspect(|path| *built = Some(path.clone())),
    };
    match stage {
        Stage::Setup => setup::everything(workspace),
        Stage::Format => format(workspace),
        Stage::Lints => lints(workspace),
        Stage::Unit => unit(workspace, filter),
        Stage::Build => Arch::ALL
            .into_iter()
            .try_for_each(|arch| image::program(workspace, arch).map(drop)),
        Stage::Fixtures => {
            fixtures()?;
            fixtures::build(workspace, Arch::Arm64).map(drop)
        }
        Stage::Fuzz => {
            let fixtures = fixtures()?;
            fuzz::run(workspace, &fixtures, FUZZ_SECONDS, fuzz::Finds::Panics)
        }
        Stage::Kernel => kernel::run(workspace, &fixtures()?, filter, again),
        Stage::Kernels => vm::step(workspace, filter, again),
        Stage::Page => page::run(workspace, &fixtures()?, filter, again),
        Stage::Cluster => cluster::run(workspace, &fixtures()?, filter, again),
    }
}

/// Begins the build of the product beside steps that build other things: much of
/// it keeps one core busy. Whether it succeeds shows when its turn has come.
fn build_ahead(workspace: &Workspace) -> Option<Child> {
    let mut command = workspace.command(this_program().ok()?);
    command
        .args(["test", "--step", &Stage::Build.name()])
        .env("CARGO_MANIFEST_DIR", workspace.root.join("xtask"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().ok()
}

/// Until what was begun ahead has ended.
fn wait(ahead: Option<Child>) {
    if let Some(mut child) = ahead {
        let _ = child.wait();
    }
}

fn format(workspace: &Workspace) -> Result<()> {
    step("rustfmt", |step| {
        step.run(&mut workspace.cargo(["fmt", "--all", "--", "--check", "--color=never"]))?;
        let fuzz = workspace.root.join("tests/fuzz/Cargo.toml");
        if fuzz.exists() {
            let mut command = workspace.cargo(["fmt", "--manifest-path"]);
            step.run(command.arg(fuzz).args(["--", "--check", "--color=never"]))?;
        }
        Ok(())
    })?;
    setup::go::toolchains(workspace, &[NEWEST])?;
    step("gofmt", |step| {
        let mut command = workspace.command(setup::go::root(workspace, NEWEST).join("bin/gofmt"));
        let sources = fixtures::sources(workspace);
        let examples = workspace.root.join("deploy/examples");
        let unformatted = step.output(command.arg("-l").args([&sources, &examples]))?;
        ensure!(
            unformatted.trim().is_empty(),
            "not formatted; run gofmt -w on each:\n{unformatted}"
        );
        Ok(())
    })
}

fn lints(workspace: &Workspace) -> Result<()> {
    graph::check(workspace)?;
    dependencies::check(workspace)?;
    let clippy = |title: &str, args: &[&str], configure: &dyn Fn(&mut Command)| {
        step(title, |step| {
            let mut command = workspace.cargo(["clippy", "--locked"]);
            command.args(args);
            configure(&mut command);
            command.args(["--", "-D", "warnings"]);
            step.run(&mut command)
        })
    };
    let host = "--package observer --package observer-adapter --package observer-go \
                --package observer-node --package observer-probe --package observer-tests \
                --package observer-testkit --package observer-guest --package xtask --all-targets";
    let host: Vec<_> = host.split(' ').collect();
    clippy("clippy: observer, tests, xtask", &host, &|_| ())?;
    let cluster = "--package observer-tests --test cluster --test adapter";
    let cluster: Vec<_> = cluster.split(' ').collect();
    clippy("clippy: tests in a cluster", &cluster, &|_| ())?;
    let shared = "--package observer-ebpf --lib --tests --features user";
    let shared: Vec<_> = shared.split(' ').collect();
    clippy("clippy: what the eBPF programs share", &shared, &|_| ())?;
    let bpf = "--package observer-ebpf --bin observer-ebpf --features ebpf --target \
               bpfel-unknown-none -Z build-std=core";
    let bpf: Vec<_> = bpf.split(' ').collect();
    for arch in Arch::ALL {
        let title = format!("clippy: eBPF programs of {}", arch.name());
        clippy(&title, &bpf, &|command| {
            command
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_ENCODED_RUSTFLAGS", bpf_flags(arch));
        })?;
    }
    Ok(())
}

/// As observer-probe's build script sets them.
fn bpf_flags(arch: Arch) -> String {
    let (processor, _) = arch.rust_target().split_once('-').unwrap_or_default();
    format!("--cfg=bpf_target_arch=\"{processor}\"")
}

fn unit(workspace: &Workspace, filter: Option<&str>) -> Result<()> {
    step("unit tests", |step| {
        let mut command = workspace.cargo(["test", "--locked"]);
        let packages = [
            "observer",
            "observer-adapter",
            "observer-ebpf",
            "observer-go",
            "observer-guest",
            "observer-node",
            "observer-probe",
            "observer-releases",
            "observer-testkit",
            "xtask",
        ];
        command.args(packages.iter().flat_map(|package| ["--package", package]));
        command.args(filter);
        let output = step.output(&mut command)?;
        step.note(format!("{} passed", passed(&output)));
        Ok(())
    })
}

/// Sum over the `test result: ok. N passed` lines.
fn passed(output: &str) -> u64 {
    output
        .lines()
        .filter_map(|line| line.strip_prefix("test result: ok. "))
        .filter_map(|line| line.split(' ').next()?.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::passed;

    #[test]
    fn passed_tests_are_summed_over_binaries() {
        let output = "test result: ok. 3 passed; 0 failed\nx\ntest result: ok. 4 passed; 0 failed";
        assert_eq!(passed(output), 7);
    }
}
