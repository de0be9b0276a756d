//! What needs root, one command at a time.

use std::{
    env,
    fs::{self, File},
    os::unix::process::CommandExt as _,
};

use anyhow::{Context as _, Result, ensure};
use rustix::fs::{FlockOperation, flock};

use super::layout::Cluster;
use crate::{
    cache,
    setup::{Privilege, is_root},
    workspace::Workspace,
};

/// Returns as root: an ordinary user's process is replaced by the same
/// command under sudo, with the same cache.
pub(super) fn become_root(workspace: &Workspace) -> Result<()> {
    if is_root() {
        return Ok(());
    }
    Privilege::get(workspace, "starting and stopping a cluster")?;
    let variable = |name: &str, value: &std::ffi::OsStr| {
        let mut word = std::ffi::OsString::from(name);
        word.push("=");
        word.push(value);
        word
    };
    let mut command = workspace.command("sudo");
    command
        .arg("env")
        .arg(variable("PATH", &workspace.path()))
        .arg(variable(
            cache::VARIABLE,
            workspace.cache.root().as_os_str(),
        ))
        .arg(variable(
            "CARGO_MANIFEST_DIR",
            workspace.root.join("xtask").as_os_str(),
        ))
        .arg(variable(
            "CARGO_TARGET_DIR",
            workspace.cache.target().as_os_str(),
        ))
        .arg(env::current_exe().context("cannot find this program's file")?)
        .args(env::args_os().skip(1))
        // --dir and archives are named from where the caller is.
        .current_dir(env::current_dir()?);
    let error = command.exec();
    Err(error).context("cannot start sudo")
}

/// Held while the cluster changes: two commands must not start or stop the
/// same components.
pub(super) fn lock(cluster: &Cluster<'_>) -> Result<File> {
    fs::create_dir_all(&cluster.dir)
        .with_context(|| format!("cannot create {}", cluster.dir.display()))?;
    let path = cluster.path("lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let held = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
    ensure!(
        held,
        "another `cargo xtask cluster` works on {}: wait for its end",
        cluster.dir.display()
    );
    Ok(file)
}
