//! Builds the product.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use anyhow::{Context as _, Result};

use crate::{ui::step, workspace::Workspace};

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
