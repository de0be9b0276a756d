//! rustup, the pinned toolchain, and the fuzzer's driver.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use super::apt;
use crate::{
    ui::step,
    workspace::{Workspace, find_rustup},
};

const COMPONENTS: &[&str] = &["rust-src", "rustfmt", "clippy"];
const CARGO_FUZZ: &str = "0.13.2";

/// rustup: the distribution's where it does not displace the user's cargo,
/// else the official installer, which touches nothing outside its own
/// directories.
pub(crate) fn rustup(workspace: &Workspace) -> Result<()> {
    if let Some(path) = find_rustup() {
        return step("rustup", |step| {
            step.note(path.display().to_string());
            Ok(())
        });
    }
    // Debian's rustup conflicts with Debian's cargo.
    let packaged = !apt::is_installed(workspace, "cargo")
        && !apt::is_installed(workspace, "rustc")
        && apt::has_candidate(workspace, "rustup");
    if packaged {
        apt::install(workspace, "rustup", &[apt::Need::package("rustup")])?;
    } else {
        apt::install(workspace, "Debian packages to download", DOWNLOAD)?;
        step("rustup from static.rust-lang.org", |step| {
            let installer = workspace.cache.join("rustup-init");
            let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
            step.run(workspace.download(&installer).arg(format!(
                "https://static.rust-lang.org/rustup/dist/{host}/rustup-init"
            )))
            .context("cannot download rustup: install it from https://rustup.rs and start again")?;
            fs::set_permissions(&installer, Permissions::from_mode(0o755))?;
            step.run(workspace.command(&installer).args([
                "-y",
                "--no-modify-path",
                "--default-toolchain",
                "none",
            ]))?;
            fs::remove_file(&installer)?;
            Ok(())
        })?;
    }
    ensure!(
        find_rustup().is_some(),
        "rustup was installed but is neither in PATH nor in ~/.cargo/bin"
    );
    Ok(())
}

/// What fetching a file over HTTPS needs.
pub(crate) const DOWNLOAD: &[apt::Need] = &[
    apt::Need::command("curl", "curl"),
    apt::Need::package("ca-certificates"),
];

/// The pinned toolchain, with the sources of `core` for the BPF target.
pub(crate) fn toolchain(workspace: &Workspace) -> Result<()> {
    let version = &workspace.toolchain;
    step(&format!("Rust {version}"), |step| {
        if has_components(workspace) {
            step.note("already there");
            return Ok(());
        }
        let mut command = workspace.rustup();
        command
            .args(["toolchain", "install", version, "--profile", "minimal"])
            .arg("--no-self-update");
        for component in COMPONENTS {
            command.args(["--component", component]);
        }
        step.run(&mut command)
            .with_context(|| format!("cannot install Rust {version}"))
    })
}

fn has_components(workspace: &Workspace) -> bool {
    let listed = workspace
        .rustup()
        .args(["component", "list", "--installed", "--toolchain"])
        .arg(&workspace.toolchain)
        .output();
    listed.is_ok_and(|output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success()
            && COMPONENTS
                .iter()
                .chain(&["cargo", "rustc"])
                .all(|wanted| text.lines().any(|line| line.starts_with(wanted)))
    })
}

/// The standard library of another target; musl and its start files come with it.
pub(crate) fn target(workspace: &Workspace, target: &str) -> Result<()> {
    step(&format!("Rust for {target}"), |step| {
        let listed = workspace
            .rustup()
            .args(["target", "list", "--installed", "--toolchain"])
            .arg(&workspace.toolchain)
            .output();
        let has = |text: &[u8]| {
            String::from_utf8_lossy(text)
                .lines()
                .any(|line| line == target)
        };
        if listed.is_ok_and(|output| output.status.success() && has(&output.stdout)) {
            step.note("already there");
            return Ok(());
        }
        let mut command = workspace.rustup();
        command
            .args(["target", "add", "--toolchain", &workspace.toolchain])
            .arg(target);
        step.run(&mut command)
            .with_context(|| format!("cannot install Rust's standard library for {target}"))
    })
}

/// Installs a crate's program into the cache, unless it is there and starts.
pub(crate) fn install_tool(
    workspace: &Workspace,
    name: &str,
    version: &str,
    configure: impl FnOnce(&mut Command),
) -> Result<()> {
    step(&format!("{name} {version}"), |step| {
        let wanted = format!("{name} {version}");
        let program = workspace.cache.tools().join("bin").join(name);
        let says = |program| {
            workspace
                .command(program)
                .arg("--version")
                .output()
                .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == wanted)
        };
        if says(&program) {
            step.note("already there");
            return Ok(());
        }
        let target = workspace.cache.join("target-tools");
        let mut command = workspace.cargo(["install", name, "--version", version, "--locked"]);
        command
            .arg("--force")
            .arg("--root")
            .arg(workspace.cache.tools())
            .env("CARGO_TARGET_DIR", &target);
        configure(&mut command);
        step.run(&mut command)
            .with_context(|| format!("cannot build {name} {version}"))?;
        // Hundreds of megabytes that nothing uses again.
        fs::remove_dir_all(&target).ok();
        ensure!(
            says(&program),
            "{} was built, but `--version` does not answer `{wanted}`",
            program.display()
        );
        Ok(())
    })
}

/// The fuzzer's driver.
pub(crate) fn cargo_fuzz(workspace: &Workspace) -> Result<()> {
    install_tool(workspace, "cargo-fuzz", CARGO_FUZZ, |_| ())
}
