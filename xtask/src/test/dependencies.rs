//! What dependencies may be, by `.cargo/deny.toml`: their licences, where they come from,
//! and how many of one there are.

use std::process::Command;

use anyhow::Result;

use crate::{setup, ui::step, workspace::Workspace};

/// Checks them, also those of the fuzz targets, which have a lock file of their own.
pub(super) fn check(workspace: &Workspace) -> Result<()> {
    setup::cargo_deny(workspace)?;
    step("cargo deny: licences, duplicates, sources", |step| {
        // An exception that nothing needs any more is a warning.
        let mut all = deny(workspace, &["--workspace"]);
        all.args(["check", "--hide-inclusion-graph", "-D", "warnings"])
            .args(["licenses", "bans", "sources"]);
        step.run(&mut all)?;
        // Nothing of them is handed out.
        let fuzz = ["--manifest-path", "tests/fuzz/Cargo.toml"];
        step.run(deny(workspace, &fuzz).args(["check", "sources"]))
    })?;
    step("cargo deny: advisories", |step| {
        let (fetched, _) = step.outcome(deny(workspace, &[]).args(["fetch", "db"]))?;
        if fetched.is_err() {
            step.note("NOT CHECKED, their database cannot be reached");
            return Ok(());
        }
        step.run(deny(workspace, &["--workspace", "--offline"]).args(["check", "advisories"]))
    })
}

fn deny(workspace: &Workspace, options: &[&str]) -> Command {
    let mut command = workspace.cargo(["deny", "--locked", "--color", "never"]);
    command.args(["--config", ".cargo/deny.toml"]).args(options);
    command
}
