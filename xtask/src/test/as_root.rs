//! Commands that run as root what they built as this user.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    setup::{Privilege, is_root},
    workspace::Workspace,
};

/// This program's file, which becomes root by itself where it must.
pub(super) fn this_program() -> Result<PathBuf> {
    env::current_exe().context("cannot find this program's file")
}

/// A cargo command that builds as this user and runs what it built as root,
/// with the paths that the tests crate reads, and with more variables. Cargo itself does
/// not get them: it would build anew for some of them.
pub(crate) fn as_root(
    workspace: &Workspace,
    fixtures: &Path,
    cargo: &[&str],
    more: &[(&str, OsString)],
) -> Result<Command> {
    let paths = [
        ("OBSERVER_FIXTURES", fixtures.as_os_str().to_owned()),
        ("OBSERVER_GO", workspace.cache.go().into_os_string()),
    ];
    let variables: Vec<_> = paths.into_iter().chain(more.iter().cloned()).collect();
    let mut command = workspace.cargo(cargo);
    // sudo's own PATH and variables would not reach the tests otherwise.
    let become_root: &[&str] = if is_root() {
        &["env"]
    } else {
        Privilege::get(workspace, "testing on the kernel")?;
        &["sudo", "-E", "env"]
    };
    let mut runner: Vec<OsString> = become_root.iter().map(OsString::from).collect();
    let path = ("PATH", workspace.path());
    for (name, value) in variables.into_iter().chain([path]) {
        let mut word = OsString::from(name);
        word.push("=");
        word.push(value);
        runner.push(word);
    }
    let runner: Vec<_> = runner.iter().map(|word| word.to_string_lossy()).collect();
    // A JSON list of strings is a TOML one as well.
    let runner = serde_json::to_string(&runner)?;
    let arch = std::env::consts::ARCH;
    command.args([
        "--config".to_owned(),
        format!("target.{arch}-unknown-linux-gnu.runner={runner}"),
    ]);
    Ok(command)
}
