//! Environments of Python.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::apt::Need;
use crate::{ui::Step, workspace::Workspace};

/// What makes them.
pub(super) const VENV: Need = Need::package("python3-venv");

/// An environment in `root` with the packages of the file `wanted`, made anew where that has
/// changed. Its Python.
pub(super) fn environment(
    workspace: &Workspace,
    step: &Step,
    root: &Path,
    wanted: &Path,
) -> Result<PathBuf> {
    let python = root.join("venv/bin/python");
    let installed = root.join("installed.txt");
    let text =
        fs::read_to_string(wanted).with_context(|| format!("cannot read {}", wanted.display()))?;
    if python.exists() && fs::read_to_string(&installed).is_ok_and(|has| has == text) {
        step.note("already there");
        return Ok(python);
    }
    fs::create_dir_all(root).with_context(|| format!("cannot create {}", root.display()))?;
    let mut command = workspace.command("python3");
    step.run(
        command
            .args(["-m", "venv", "--clear"])
            .arg(root.join("venv")),
    )?;
    let mut command = workspace.command(&python);
    let quietly = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ];
    step.run(command.args(quietly).arg("--requirement").arg(wanted))?;
    fs::write(&installed, text).with_context(|| format!("cannot write {}", installed.display()))?;
    Ok(python)
}
