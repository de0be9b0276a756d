//! Records again what the unit tests replay: a program of each release of Go.

use anyhow::Result;
use observer_releases::VERSIONS;

use crate::{arch::Arch, fixtures, setup, ui::step, workspace::Workspace};

/// Where the unit tests look for them.
const RECORDINGS: &str = "observer/go/src/runtime/testdata";

/// `cargo xtask recordings`.
pub(crate) fn recordings(workspace: &Workspace) -> Result<()> {
    setup::build(workspace)?;
    setup::go::toolchains(workspace, &VERSIONS)?;
    let fixtures = fixtures::build(workspace, Arch::Amd64)?;
    step("recordings", |step| {
        let example = ["--package", "observer-go", "--example", "record", "--"];
        let mut command = workspace.cargo(["run", "--locked"]);
        command.args(example).arg(&fixtures);
        step.run(command.arg(workspace.root.join(RECORDINGS)))
    })
}
