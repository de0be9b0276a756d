//! Starts components, apart from this command.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt as _,
    process::Stdio,
};

use anyhow::{Context as _, Result};

use super::{
    component::Component,
    container,
    layout::Cluster,
    process::{self, Process},
};
use crate::ui::describe;

/// Starts a component; its output goes to its log.
pub(super) fn component(cluster: &Cluster<'_>, component: &mut Component) -> Result<()> {
    let Component {
        name,
        command,
        container,
        ..
    } = component;
    let log = cluster.log(name);
    for directory in [log.parent(), process::pid_file(cluster, name).parent()] {
        fs::create_dir_all(directory.context("no parent directory")?)?;
    }
    let output = File::options()
        .create(true)
        .append(true)
        .open(&log)
        .with_context(|| format!("cannot open {}", log.display()))?;
    command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        // A ctrl-c is for this command only.
        .process_group(0);
    let child = match container {
        Some(node) => container::spawn(cluster, *node, command),
        None => command.spawn().map_err(Into::into),
    };
    let child = child.with_context(|| format!("cannot start {name}: `{}`", describe(command)))?;
    let pid = i32::try_from(child.id()).context("pid out of range")?;
    let started = Process::of(pid)
        .with_context(|| format!("{name} ended at once; its log is {}", log.display()))?;
    let file = process::pid_file(cluster, name);
    fs::write(&file, format!("{pid} {} {}\n", started.start, started.boot))
        .with_context(|| format!("cannot write {}", file.display()))
}
