//! Starts the observer, and a program for it to observe.

use std::{os::unix::process::CommandExt as _, process::Command};

use anyhow::{Context as _, Result, anyhow};
use observer_releases::GO;

use crate::{
    build, fixtures,
    setup::{self, Privilege},
    ui::describe,
    workspace::Workspace,
};

const DEMO: &str = "workload";

/// Becomes `observer node`.
pub(crate) fn node(workspace: &Workspace, args: &[String]) -> Result<()> {
    setup::build(workspace)?;
    build::observer(workspace)?;
    let observer = workspace.observer();
    let privilege =
        Privilege::get(workspace, "probing other users' programs").with_context(|| {
            format!(
                "cannot start {0} node: start it as root, or give it its capabilities once with \
             `setcap cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search,cap_lease+ep {0}` as root and \
             start it yourself",
                observer.display()
            )
        })?;
    let mut command = match privilege {
        Privilege::Root => workspace.command(&observer),
        Privilege::Sudo => {
            let mut command = workspace.command("sudo");
            command.arg("-E").arg(&observer);
            command
        }
    };
    become_command(command.arg("node").args(args))
}

/// Becomes the demo program.
pub(crate) fn demo(workspace: &Workspace, args: &[String]) -> Result<()> {
    setup::demo(workspace, GO)?;
    let program = fixtures::one(workspace, DEMO, GO)?;
    eprintln!(
        "{} -demo: ends with ctrl-c; observe it with `cargo xtask run` in another terminal",
        program.display()
    );
    become_command(workspace.command(&program).arg("-demo").args(args))
}

/// Takes this process's place, so that the terminal and every signal are the
/// program's own.
fn become_command(command: &mut Command) -> Result<()> {
    let error = command.exec();
    Err(anyhow!(error).context(format!("cannot start `{}`", describe(command))))
}
