//! Runs the benchmark of the tests crate.

use anyhow::Result;

use crate::{build, fixtures, setup, test, ui::step, workspace::Workspace};

/// `cargo xtask bench`.
pub(crate) fn bench(workspace: &Workspace, args: &[String]) -> Result<()> {
    setup::everything(workspace)?;
    build::observer(workspace)?;
    let fixtures = fixtures::build(workspace)?;
    let mut command = test::as_root(workspace, &fixtures, &["run"])?;
    command
        .args(["--release", "--locked", "--package", "observer-tests"])
        .args(["--bin", "bench", "--"])
        .args(args);
    step("benchmark", |step| step.stream(&mut command))
}
