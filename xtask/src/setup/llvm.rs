//! LLVM's libraries, and bpf-linker built against them.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};

use super::{
    apt::{self, Need, Privilege},
    rust,
};
use crate::{
    ui::{Step, step},
    workspace::Workspace,
};

/// The LLVM major of the pinned rustc: bpf-linker reads the bitcode it writes.
const MAJOR: u32 = 22;
const PREFIX: &str = "/usr/lib/llvm-22";
const PACKAGES: &[Need] = &[
    Need::package("llvm-22-dev"),
    Need::package("libpolly-22-dev"),
    Need::package("zlib1g-dev"),
];
/// The C compiler of static binaries, one for all architectures.
pub(crate) const CLANG: &str = "/usr/lib/llvm-22/bin/clang";
/// The archiver that goes with it.
pub(crate) const LLVM_AR: &str = "/usr/lib/llvm-22/bin/llvm-ar";
const BPF_LINKER: &str = "0.13.0";

/// The development files of LLVM, from the distribution, else from
/// apt.llvm.org.
pub(crate) fn libraries(workspace: &Workspace) -> Result<()> {
    let title = format!("LLVM {MAJOR}");
    let missing = apt::missing(workspace, PACKAGES);
    if missing.is_empty() {
        return step(&title, |step| {
            step.note("already there");
            Ok(())
        });
    }
    let privilege = apt::privilege(workspace, &missing)?;
    step(&title, |step| {
        apt::update(workspace, step, privilege);
        if !apt::has_candidate(workspace, "llvm-22-dev") {
            add_source(workspace, step, privilege)?;
            apt::update(workspace, step, privilege);
        }
        apt::install_now(workspace, step, privilege, &missing).with_context(|| {
            format!(
                "LLVM {MAJOR} is needed to link the eBPF programs; see https://apt.llvm.org for \
                 packages of this distribution"
            )
        })?;
        step.note(missing.join(" "));
        Ok(())
    })
}

/// Adds apt.llvm.org, signed by its own key only.
fn add_source(workspace: &Workspace, step: &Step, privilege: Privilege) -> Result<()> {
    let release = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
    let codename = codename(&release).context(
        "/etc/os-release has no VERSION_CODENAME, so the source of LLVM 22 at apt.llvm.org is \
         unknown: install llvm-22-dev and libpolly-22-dev by hand",
    )?;
    let fetch = apt::missing(workspace, rust::DOWNLOAD);
    if !fetch.is_empty() {
        apt::install_now(workspace, step, privilege, &fetch)?;
    }
    step.note("adding apt.llvm.org");
    let key = workspace.cache.join("apt.llvm.org.asc");
    let list = workspace.cache.join("apt.llvm.org.list");
    step.run(
        workspace
            .download(&key)
            .arg("https://apt.llvm.org/llvm-snapshot.gpg.key"),
    )
    .context("cannot download the key of apt.llvm.org")?;
    fs::write(&list, source(codename))?;
    let place = |from: &Path, to: &str| {
        step.run(
            privilege
                .command(workspace, "install")
                .args(["-D", "-m", "644"])
                .arg(from)
                .arg(to),
        )
    };
    place(&key, KEY)?;
    place(&list, "/etc/apt/sources.list.d/apt.llvm.org.list")?;
    fs::remove_file(&key)?;
    fs::remove_file(&list)?;
    Ok(())
}

const KEY: &str = "/etc/apt/keyrings/apt.llvm.org.asc";

fn source(codename: &str) -> String {
    format!(
        "deb [signed-by={KEY}] https://apt.llvm.org/{codename}/ llvm-toolchain-{codename}-{MAJOR} main\n"
    )
}

fn codename(release: &str) -> Option<&str> {
    release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .map(|name| name.trim_matches('"'))
        .filter(|name| !name.is_empty())
}

/// clang, from where [`libraries`] came from: two packages more than those,
/// where a GNU cross compiler would be 19 for each architecture.
pub(crate) fn clang(workspace: &Workspace) -> Result<()> {
    apt::install(
        workspace,
        &format!("clang {MAJOR}"),
        &[Need::package("clang-22")],
    )?;
    for program in [CLANG, LLVM_AR] {
        ensure!(
            Path::new(program).exists(),
            "{program} is missing although clang-22 and llvm-22 are installed: reinstall them \
             (apt-get install --reinstall clang-22 llvm-22)"
        );
    }
    Ok(())
}

/// The linker of the BPF target.
pub(crate) fn bpf_linker(workspace: &Workspace) -> Result<()> {
    ensure!(
        Path::new(PREFIX).join("bin/llvm-config").exists(),
        "{PREFIX}/bin/llvm-config is missing although llvm-22-dev is installed: reinstall \
         llvm-22 (apt-get install --reinstall llvm-22 llvm-22-dev)"
    );
    rust::install_tool(workspace, "bpf-linker", BPF_LINKER, |command| {
        command
            .args(["--no-default-features", "--features", "llvm-22"])
            .env("LLVM_PREFIX", PREFIX);
    })
}

#[cfg(test)]
mod tests {
    use super::{codename, source};

    #[test]
    fn the_source_is_the_distributions() {
        let release = "NAME=\"Ubuntu\"\nVERSION_CODENAME=noble\nUBUNTU_CODENAME=noble\n";
        assert_eq!(codename(release), Some("noble"));
        assert!(
            source("noble").contains("https://apt.llvm.org/noble/ llvm-toolchain-noble-22 main")
        );
    }
}
