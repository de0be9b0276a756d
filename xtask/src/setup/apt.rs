//! Debian packages, only those that are missing.

use std::{
    fs,
    io::IsTerminal as _,
    os::unix::fs::MetadataExt as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    ui::{Step, step},
    workspace::Workspace,
};

/// Something a package brings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need {
    /// Satisfied by any program of this name, whoever installed it: a machine
    /// with Docker's containerd must not get Debian's in its place.
    command: Option<&'static str>,
    package: &'static str,
}

impl Need {
    pub(crate) const fn command(command: &'static str, package: &'static str) -> Self {
        Self {
            command: Some(command),
            package,
        }
    }

    pub(crate) const fn package(package: &'static str) -> Self {
        Self {
            command: None,
            package,
        }
    }

    fn is_there(self, workspace: &Workspace) -> bool {
        match self.command {
            Some(command) => workspace.which(command).is_some(),
            None => is_installed(workspace, self.package),
        }
    }
}

/// How a command gets root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Privilege {
    Root,
    Sudo,
}

impl Privilege {
    /// Root itself, or sudo if it can be used here; the error says what it was
    /// wanted for.
    pub(crate) fn get(workspace: &Workspace, purpose: &str) -> Result<Self> {
        if is_root() {
            return Ok(Self::Root);
        }
        if workspace.which("sudo").is_none() {
            bail!("{purpose} needs root: this user is not root and there is no sudo");
        }
        // With a terminal sudo may ask for the password now, while nothing
        // else writes there; without one it must not hang.
        let mut ask = workspace.command("sudo");
        if std::io::stdin().is_terminal() {
            ask.arg("-v");
        } else {
            ask.args(["-n", "true"]).stderr(Stdio::null());
        }
        if ask.status().context("cannot run sudo")?.success() {
            Ok(Self::Sudo)
        } else {
            bail!("{purpose} needs root, and sudo does not let this user in without a password")
        }
    }

    /// `program` with this privilege.
    pub(crate) fn command(self, workspace: &Workspace, program: &str) -> Command {
        match self {
            Self::Root => workspace.command(program),
            Self::Sudo => {
                let mut command = workspace.command("sudo");
                command.arg(program);
                command
            }
        }
    }
}

/// True if this process runs as root.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

/// True if dpkg has the package installed.
pub(crate) fn is_installed(workspace: &Workspace, package: &str) -> bool {
    workspace
        .command("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status}", package])
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success() && output.stdout == b"installed")
}

/// True if some source of apt offers the package.
pub(crate) fn has_candidate(workspace: &Workspace, package: &str) -> bool {
    workspace
        .command("apt-cache")
        .args(["policy", package])
        .env("LC_ALL", "C")
        .output()
        .is_ok_and(|output| {
            String::from_utf8_lossy(&output.stdout)
                .lines()
                .filter_map(|line| line.trim().strip_prefix("Candidate: "))
                .any(|candidate| candidate != "(none)")
        })
}

/// Installs the packages of the needs that are not met.
pub(crate) fn install(workspace: &Workspace, title: &str, needs: &[Need]) -> Result<()> {
    let missing = missing(workspace, needs);
    if missing.is_empty() {
        return step(title, |step| {
            step.note("already there");
            Ok(())
        });
    }
    let privilege = privilege(workspace, &missing)?;
    step(title, |step| {
        update(workspace, step, privilege);
        install_now(workspace, step, privilege, &missing)?;
        step.note(missing.join(" "));
        Ok(())
    })
}

/// The packages of the needs that are not met, each once.
pub(crate) fn missing(workspace: &Workspace, needs: &[Need]) -> Vec<&'static str> {
    let mut missing = Vec::new();
    for need in needs {
        if !missing.contains(&need.package) && !need.is_there(workspace) {
            missing.push(need.package);
        }
    }
    missing
}

/// Root for installing these packages, or an error with the command to run.
pub(crate) fn privilege(workspace: &Workspace, packages: &[&str]) -> Result<Privilege> {
    let packages = packages.join(" ");
    if workspace.which("apt-get").is_none() {
        bail!(
            "missing: {packages} (names of Debian packages); this machine has no apt-get, so \
             install what they hold in its own way and start again"
        );
    }
    Privilege::get(workspace, &format!("installing {packages}")).with_context(|| {
        format!(
            "missing Debian packages: {packages}; run as root: apt-get update && apt-get install \
             -y --no-install-recommends {packages}"
        )
    })
}

/// `apt-get update`. A source that fails is no error by itself: what is
/// wanted may come from the others.
pub(crate) fn update(workspace: &Workspace, step: &Step, privilege: Privilege) {
    step.note("apt-get update");
    let mut command = apt_get(workspace, privilege);
    command.arg("update");
    if let Err(error) = step.run(&mut command) {
        eprintln!("warning: {error:#}");
    }
}

/// `apt-get install`, after a check that every package exists.
pub(crate) fn install_now(
    workspace: &Workspace,
    step: &Step,
    privilege: Privilege,
    packages: &[&str],
) -> Result<()> {
    let unknown: Vec<_> = packages
        .iter()
        .filter(|package| !has_candidate(workspace, package))
        .copied()
        .collect();
    if !unknown.is_empty() {
        bail!(
            "no source of apt has {}: add the source that has it under /etc/apt/sources.list.d, \
             or install it by hand, and start again",
            unknown.join(" ")
        );
    }
    let mut command = apt_get(workspace, privilege);
    // Nothing of the user's is removed to make room.
    command
        .args(["install", "-y", "--no-install-recommends", "--no-remove"])
        .args(packages);
    step.run(&mut command)
        .with_context(|| format!("cannot install the Debian packages {}", packages.join(" ")))
}

fn apt_get(workspace: &Workspace, privilege: Privilege) -> Command {
    // `env`, since sudo does not pass variables on.
    let mut command = privilege.command(workspace, "env");
    command.args([
        "DEBIAN_FRONTEND=noninteractive",
        "LC_ALL=C.UTF-8",
        "apt-get",
        "-q",
        "-o",
        "DPkg::Lock::Timeout=300",
    ]);
    command
}
