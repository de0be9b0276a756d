//! Builds the product.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{setup, ui::step, workspace::Workspace};

/// Builds `observer` and leaves it at `target/release/observer` of the
/// checkout, although cargo works in the cache.
pub(crate) fn observer(workspace: &Workspace) -> Result<()> {
    let title = format!("build observer with Rust {}", workspace.toolchain);
    step(&title, |step| {
        let mut command =
            workspace.cargo(["build", "--release", "--locked", "--package", "observer"]);
        command.args(["--bin", "observer"]);
        step.run(&mut command)?;
        let built = workspace.cache.target().join("release/observer");
        let placed = workspace.observer();
        place(&built, &placed)?;
        let size = fs::metadata(&placed)?.len();
        step.note(format!(
            "{}, {:.1} MiB",
            placed.display(),
            size as f64 / f64::from(1 << 20)
        ));
        Ok(())
    })
}

/// Builds an `observer` that loads shared libraries, quickly and without
/// optimization, and returns its path in the cache.
pub(crate) fn dynamic_observer(workspace: &Workspace) -> Result<PathBuf> {
    step("build observer without optimization", |step| {
        let mut command = workspace.cargo(["build", "--locked", "--package", "observer"]);
        step.run(command.args(["--bin", "observer"]))?;
        Ok(workspace.cache.target().join("debug/observer"))
    })
}

/// Builds a static `observer` for a musl target and returns its path in the
/// cache. Rust brings musl and a linker for it; the one C library in it
/// (`ring`) is compiled by clang, which needs no headers of the target.
pub(crate) fn static_observer(workspace: &Workspace, target: &str) -> Result<PathBuf> {
    step(&format!("build observer for {target}"), |step| {
        let mut command =
            workspace.cargo(["rustc", "--release", "--locked", "--package", "observer"]);
        command
            .args(["--bin", "observer", "--target", target])
            // Names of functions are no use in an image without a debugger.
            .args(["--", "-C", "strip=symbols"])
            // Relocations of a position-independent program in a tenth of the space.
            .args(["-C", "link-arg=--pack-dyn-relocs=relr"])
            // One copy of functions that came out alike; nothing compares them.
            .args(["-C", "link-arg=--icf=all"]);
        let name = target.replace('-', "_");
        command
            .env(format!("CC_{name}"), setup::CLANG)
            .env(format!("AR_{name}"), setup::LLVM_AR)
            .env(linker(target), "rust-lld");
        step.run(&mut command)?;
        Ok(workspace
            .cache
            .target()
            .join(target)
            .join("release/observer"))
    })
}

/// Builds what tests do inside a virtual machine, as static as the observer.
pub(crate) fn guest(workspace: &Workspace, target: &str) -> Result<PathBuf> {
    step(&format!("build the tests' guest for {target}"), |step| {
        let mut command = workspace.cargo(["build", "--profile", "guest", "--locked"]);
        command
            .args(["--package", "observer-guest", "--target", target])
            .env(linker(target), "rust-lld");
        step.run(&mut command)?;
        let target = workspace.cache.target().join(target);
        Ok(target.join("guest/observer-guest"))
    })
}

/// The variable that names a target's linker.
fn linker(target: &str) -> String {
    let name = target.replace('-', "_").to_uppercase();
    format!("CARGO_TARGET_{name}_LINKER")
}

/// Copies by renaming: a running observer keeps the file it runs.
fn place(from: &Path, to: &Path) -> Result<()> {
    let same = |left: &Path, right: &Path| {
        let (left, right) = (fs::metadata(left).ok()?, fs::metadata(right).ok()?);
        Some(left.ino() == right.ino() && left.dev() == right.dev())
    };
    // With CARGO_TARGET_DIR set to the checkout's own target.
    if same(from, to) == Some(true) {
        return Ok(());
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    let part = to.with_extension(format!("{}.part", std::process::id()));
    fs::copy(from, &part)
        .and_then(|_| fs::rename(&part, to))
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

/// Writes the Grafana boards.
pub(crate) fn dashboards(workspace: &Workspace) -> Result<()> {
    setup::build(workspace)?;
    step("boards", |step| {
        let package = [
            "run",
            "--locked",
            "--package",
            "observer-tests",
            "--bin",
            "dashboards",
            "--",
        ];
        let mut command = workspace.cargo(package);
        step.run(command.arg(workspace.root.join("deploy/dashboards")))
    })
}
