//! What is in a guest: an observer, Go programs, what the tests do there, and what all
//! of them need to run.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{
    apparmor,
    apt::Apt,
    initramfs::Files,
    inspected,
    machine::Machine,
    programs::{programs, within},
};
use crate::{
    arch::Arch,
    build, image,
    ui::{Step, step},
    workspace::Workspace,
};

/// Shared libraries of arm64, as they came with its C compiler, and where they are
/// looked for.
const CROSS: &str = "/usr/aarch64-linux-gnu/lib";
const LIBRARIES: &str = "/lib/aarch64-linux-gnu";
const LOADER: &str = "ld-linux-aarch64.so.1";
/// Those that Go's programs ask for, with cgo.
const OF_CGO: [&str; 4] = [
    "libc.so.6",
    "libpthread.so.0",
    "libdl.so.2",
    "libresolv.so.2",
];

/// What a guest of the tests is given.
pub(crate) fn of_tests(workspace: &Workspace, arch: Arch) -> Result<Files> {
    let observer = image::program(workspace, arch)?;
    let mut files = of(workspace, arch, &observer, &programs(workspace, arch)?)?;
    if arch == Arch::Arm64 {
        inspected::add(workspace, &mut files)?;
    }
    Ok(files)
}

/// What a guest is given: an observer, Go programs, and the tests' driver.
pub(crate) fn of(
    workspace: &Workspace,
    arch: Arch,
    observer: &Path,
    programs: &[PathBuf],
) -> Result<Files> {
    let driver = build::guest(workspace, arch.rust_target())?;
    let shell = step("shell of the guest", |step| shell(workspace, step, arch))?;
    let mut files = Files::new(&shell, Machine::of(arch).results)?;
    files.add("/observer", observer)?;
    files.add("/bin/guest", &driver)?;
    files.add("/apparmor/policy", &apparmor::policy(workspace)?)?;
    for program in programs {
        files.add(&within("/fixtures", program)?, program)?;
    }
    match arch {
        Arch::Amd64 => {
            for program in programs.iter().map(PathBuf::as_path).chain([observer]) {
                files.add_libraries(workspace, program);
            }
            files.add_libraries(workspace, &shell);
        }
        Arch::Arm64 => {
            let cross = Path::new(CROSS);
            let loader = cross.join(LOADER);
            let missing = "Position-independent Go programs need it: install libc6-arm64-cross, or \
                           run `cargo xtask setup`";
            files
                .add(&format!("/lib/{LOADER}"), &loader)
                .context(missing)?;
            for library in OF_CGO {
                files.add(&format!("{LIBRARIES}/{library}"), &cross.join(library))?;
            }
        }
    }
    Ok(files)
}

/// A static shell that runs there.
fn shell(workspace: &Workspace, step: &Step, arch: Arch) -> Result<PathBuf> {
    match arch {
        Arch::Amd64 => workspace.which("busybox").context(
            "no busybox, the shell of virtual machines: install busybox-static, or run \
             `cargo xtask setup`",
        ),
        Arch::Arm64 => Apt::new(workspace, arch).shell(step),
    }
}
