//! Fuzzes whatever reads what strangers wrote, starting from what is real.

mod seeds;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use observer_releases::VERSIONS;

use crate::{arch::Arch, fixtures, setup, ui::step, workspace::Workspace};

/// Where a target finds its originals.
const ORIGINALS: &str = "OBSERVER_FUZZ_ORIGINALS";
/// Lines of a failure that are shown.
const TAIL: usize = 40;

/// What a fuzzed program looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finds {
    /// Panics, overflows, endless loops and memory without bounds: what safe Rust may
    /// do, which almost all of what reads strangers' input is. It is built sooner.
    Panics,
    /// Wrong use of memory, too.
    Memory,
}

impl Finds {
    /// How it is built.
    fn sanitizer(self) -> &'static str {
        match self {
            Self::Panics => "none",
            Self::Memory => "address",
        }
    }

    /// Where, in the cache. Neither build is to make the other anew.
    fn directory(self) -> &'static str {
        match self {
            Self::Panics => "target-fuzz-plain",
            Self::Memory => "target-fuzz",
        }
    }
}

/// A fuzz target of `tests/fuzz`.
struct Target {
    name: &'static str,
    /// Its part of the time, in tenths.
    tenths: u64,
    /// Longest input. Of what takes long, few changes at a time tell more.
    longest: usize,
    /// Prepares what it begins with.
    seed: fn(&seeds::SeedFolders<'_>) -> Result<()>,
}

const TARGETS: [Target; 4] = [
    Target {
        name: "inspect",
        tenths: 4,
        longest: 4096,
        seed: seeds::programs,
    },
    Target {
        name: "dwarf",
        tenths: 3,
        longest: 64,
        seed: seeds::newer_programs,
    },
    Target {
        name: "memory",
        tenths: 2,
        longest: 512,
        seed: seeds::recordings,
    },
    Target {
        name: "texts",
        tenths: 1,
        longest: 4096,
        seed: seeds::texts,
    },
];

/// Options of `cargo xtask fuzz`.
#[derive(Debug, clap::Args)]
pub(crate) struct Settings {
    /// How long, all targets together.
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// Only this target.
    #[arg(long)]
    target: Option<String>,
    /// Run the target once, on this input: one that made it fail.
    #[arg(long, requires = "target")]
    input: Option<PathBuf>,
}

/// `cargo xtask fuzz`.
pub(crate) fn alone(workspace: &Workspace, settings: &Settings) -> Result<()> {
    setup::fuzz(workspace)?;
    setup::go::toolchains(workspace, &VERSIONS)?;
    let fixtures = fixtures::build(workspace, Arch::Amd64)?;
    let Some(name) = &settings.target else {
        return run(workspace, &fixtures, settings.seconds, Finds::Memory);
    };
    let chosen = TARGETS.iter().find(|target| target.name == name);
    let target = chosen.with_context(|| {
        let names = TARGETS.map(|target| target.name).join(", ");
        format!("there is no fuzz target {name}; there are {names}")
    })?;
    let how = match &settings.input {
        Some(input) => How::Once(input),
        None => How::For(settings.seconds),
    };
    fuzz(workspace, target, &fixtures, &how, Finds::Memory)
}

/// Runs every target for its share; what each finds stays in the cache for the next run.
pub(crate) fn run(
    workspace: &Workspace,
    fixtures: &Path,
    seconds: u64,
    finds: Finds,
) -> Result<()> {
    // All at once, so that no processor waits for the last of one target's code.
    step("fuzz targets", |step| {
        step.run(&mut command(workspace, "build", finds))
    })?;
    for target in &TARGETS {
        let share = How::For((seconds * target.tenths / 10).max(1));
        fuzz(workspace, target, fixtures, &share, finds)?;
    }
    Ok(())
}

enum How<'a> {
    For(u64),
    Once(&'a Path),
}

fn fuzz(
    workspace: &Workspace,
    target: &Target,
    fixtures: &Path,
    how: &How<'_>,
    finds: Finds,
) -> Result<()> {
    let name = target.name;
    let title = match how {
        How::For(seconds) => format!("fuzz {name} for {seconds} s"),
        How::Once(input) => format!("fuzz {name} with {}", input.display()),
    };
    let all = workspace.cache.fuzz_corpus();
    // Not in the checkout, which may be gone before anybody looks.
    let failures = all.join("failures").join(name);
    step(&title, |step| {
        let place = seeds::SeedFolders::of(workspace, fixtures, &all, name)?;
        (target.seed)(&place)?;
        fs::create_dir_all(&failures)?;
        let mut command = command(workspace, "run", finds);
        command.arg(source(workspace, name)?);
        match how {
            How::For(seconds) => {
                command.arg(&place.corpus).arg("--");
                command.arg(format!("-max_total_time={seconds}"));
            }
            How::Once(input) => {
                command.arg(input).arg("--");
            }
        }
        command
            .arg(format!("-max_len={}", target.longest))
            // Slow ones would never come to try more than a few bytes.
            .arg("-len_control=0")
            .args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"])
            .arg(format!("-artifact_prefix={}/", failures.display()))
            .env(ORIGINALS, &place.originals);
        let (ended, lines) = step.outcome(&mut command)?;
        if let Err(error) = ended {
            bail!(failure(name, &error.to_string(), &lines));
        }
        let said = |line: &String| {
            let count = line.split_once("number_of_executed_units:")?.1;
            count.trim().parse::<u64>().ok()
        };
        if let Some(executions) = lines.iter().find_map(said) {
            step.note(format!("{executions} executions"));
        }
        Ok(())
    })
}

/// The name of a target, where there is such a one.
fn source<'a>(workspace: &Workspace, name: &'a str) -> Result<&'a str> {
    let package = workspace.root.join("tests/fuzz");
    ensure!(
        package
            .join("fuzz_targets")
            .join(name)
            .with_extension("rs")
            .exists(),
        "{} is missing: the fuzz target `{name}` is expected there",
        package.display()
    );
    Ok(name)
}

fn command(workspace: &Workspace, task: &str, finds: Finds) -> Command {
    let mut command = workspace.cargo(["fuzz", task, "--fuzz-dir", "tests/fuzz"]);
    command
        .args(["--sanitizer", finds.sanitizer()])
        .arg("--target-dir")
        .arg(workspace.cache.join(finds.directory()))
        // Sanitizers are unstable flags; this lets the pinned stable
        // toolchain take them.
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("CARGO_TARGET_DIR");
    command
}

/// What failed, with what, and how to see it again.
fn failure(name: &str, error: &str, lines: &[String]) -> String {
    let written = |line: &String| Some(line.split_once("Test unit written to ")?.1.to_owned());
    let mut message = match lines.iter().find_map(written) {
        Some(file) => format!(
            "{name} fails with {file}, which stays there. Run it again with\n    \
             cargo xtask fuzz --target {name} --input {file}"
        ),
        None => error.to_owned(),
    };
    for line in &lines[lines.len().saturating_sub(TAIL)..] {
        let _ = write!(message, "\n    {line}");
    }
    message
}

#[cfg(test)]
mod tests {
    use super::{TARGETS, failure};

    #[test]
    fn all_time_is_somebodys() {
        let tenths: u64 = TARGETS.iter().map(|target| target.tenths).sum();
        assert_eq!(tenths, 10);
    }

    #[test]
    fn a_failure_names_its_input_and_how_to_run_it_again() {
        let lines = [
            "==1== ERROR: libFuzzer: deadly signal".to_owned(),
            "artifact_prefix='/c/'; Test unit written to /c/crash-12".to_owned(),
        ];
        let said = failure("memory", "it failed", &lines);
        assert!(
            said.contains("cargo xtask fuzz --target memory --input /c/crash-12"),
            "{said}"
        );
        assert!(said.contains("deadly signal"), "{said}");
        assert!(failure("memory", "no compiler", &[]).contains("no compiler"));
    }
}
