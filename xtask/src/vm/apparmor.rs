//! The guest's profiles of AppArmor, compiled on this machine: the kernel takes
//! what the compiler writes, and the guest needs no compiler.

use std::path::PathBuf;

use anyhow::Result;

use crate::{ui::step, workspace::Workspace};

/// What the kernels of the tests know of AppArmor, as the package says it. The
/// machine's own kernel, which the compiler would ask, may not have it at all.
const FEATURES: &str = "/etc/apparmor.d/abi/3.0";

/// Compiles the profiles and returns where they are.
pub(super) fn policy(workspace: &Workspace) -> Result<PathBuf> {
    let compiled = workspace.cache.join("vm").join("apparmor-policy");
    step("profiles of AppArmor", |step| {
        if let Some(parent) = compiled.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let mut command = workspace.command("apparmor_parser");
        command
            .args(["--skip-kernel-load", "--skip-cache", "--kernel-features"])
            .arg(FEATURES)
            .arg("--ofile")
            .arg(&compiled)
            .arg(workspace.root.join("tests/guest/apparmor/profiles"));
        step.run(&mut command)
    })?;
    Ok(compiled)
}
