//! Go toolchains: every release the observer claims to know, from Go's module
//! proxy, checked against Go's checksum database.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use observer_releases::VERSIONS;

use super::apt::{self, Need};
use crate::{
    cache::{make_writable, remove_tree},
    ui::{Step, step},
    workspace::Workspace,
};

/// Makes these versions' GOROOTs.
pub(crate) fn toolchains(workspace: &Workspace, versions: &[&str]) -> Result<()> {
    let missing: Vec<_> = versions
        .iter()
        .filter(|version| !is_complete(workspace, version))
        .collect();
    if !missing.is_empty() && downloader(workspace).is_none() {
        apt::install(
            workspace,
            "Go, to fetch Go",
            &[Need::command("go", "golang-go")],
        )?;
    }
    let title = match versions {
        [one] => format!("Go {one}"),
        [first, .., last] => format!("Go {first} to {last}"),
        [] => return Ok(()),
    };
    step(&title, |step| {
        if missing.is_empty() {
            step.note("already there");
            return Ok(());
        }
        let go = downloader(workspace)
            .context("no `go` in PATH although golang-go is installed: see `which go`")?;
        for (done, version) in missing.iter().enumerate() {
            step.note(format!("{done}/{}, fetching {version}", missing.len()));
            fetch(workspace, step, &go, version)
                .with_context(|| format!("cannot fetch Go {version}"))?;
        }
        remove_tree(&own_modules(workspace))?;
        step.note(format!("{} fetched", missing.len()));
        Ok(())
    })
}

/// A version's GOROOT.
pub(crate) fn root(workspace: &Workspace, version: &str) -> PathBuf {
    workspace.cache.go().join(version)
}

fn is_complete(workspace: &Workspace, version: &str) -> bool {
    let root = root(workspace, version);
    // Renamed into place when whole, so a look at what it says is enough.
    fs::read_to_string(root.join("VERSION")).is_ok_and(|said| {
        said.lines().next().map(str::trim) == Some(&format!("go{version}"))
            && is_executable(&root.join("bin/go"))
    })
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o111 != 0)
}

/// The `go` that fetches the others; 1.19 is recent enough.
fn downloader(workspace: &Workspace) -> Option<PathBuf> {
    workspace.which("go").or_else(|| {
        VERSIONS
            .iter()
            .rev()
            .find(|version| is_complete(workspace, version))
            .map(|version| root(workspace, version).join("bin/go"))
    })
}

/// A module cache for the download only.
fn own_modules(workspace: &Workspace) -> PathBuf {
    workspace.cache.join("gomod-tmp")
}

fn fetch(workspace: &Workspace, step: &Step, go: &Path, version: &str) -> Result<()> {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("Go has no toolchain for {other} here: expected x86_64 or aarch64"),
    };
    let module = format!("golang.org/toolchain@v0.0.1-go{version}.linux-{arch}");
    let users = PathBuf::from(
        step.output(downloading(workspace, go).args(["env", "GOMODCACHE"]))?
            .trim(),
    );
    let shared = users.is_absolute() && users.join(&module).is_dir();
    // Outside any module, so that nothing is read or changed.
    let empty = workspace.cache.join("empty");
    fs::create_dir_all(&empty)?;
    step.note(format!("downloading {module}"));
    let mut command = downloading(workspace, go);
    command
        .args(["mod", "download", "-json", &module])
        .current_dir(&empty);
    if !shared {
        command.env("GOMODCACHE", own_modules(workspace));
    }
    let answer = step.output(&mut command)?;
    let answer: serde_json::Value = serde_json::from_str(&answer)
        .with_context(|| format!("`go mod download {module}` answered no JSON"))?;
    if let Some(error) = answer["Error"].as_str() {
        bail!("{module}: {error}");
    }
    let from = answer["Dir"]
        .as_str()
        .with_context(|| format!("`go mod download {module}` names no directory"))?;
    step.note(format!("unpacking {version}"));
    place(workspace, step, Path::new(from), version, shared)
}

fn downloading(workspace: &Workspace, go: &Path) -> Command {
    let mut command = workspace.command(go);
    command
        .env_remove("GOROOT")
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-mod=mod");
    command
}

/// Puts a toolchain out of the module cache, where its files lack the
/// permission to execute and where Go refuses some of its own releases.
fn place(workspace: &Workspace, step: &Step, from: &Path, version: &str, keep: bool) -> Result<()> {
    let to = root(workspace, version);
    fs::create_dir_all(workspace.cache.go())?;
    let part = workspace.cache.go().join(format!("{version}.part"));
    remove_tree(&part)?;
    if keep {
        step.run(
            workspace
                .command("cp")
                .args(["-R", "--no-preserve=mode", "--"])
                .args([from, &part]),
        )?;
    } else {
        make_writable(from)?;
        fs::rename(from, &part)
            .with_context(|| format!("cannot move {} to {}", from.display(), part.display()))?;
    }
    for directory in ["bin", "pkg/tool"] {
        step.run(
            workspace
                .command("chmod")
                .args(["-R", "u+w,a+rX,a+x", "--"])
                .arg(part.join(directory)),
        )?;
    }
    // The compiler's own tests, a good part of the size.
    remove_tree(&part.join("test"))?;
    remove_tree(&to)?;
    fs::rename(&part, &to)?;
    ensure!(
        is_complete(workspace, version),
        "{} is not Go {version}: its VERSION says something else, or bin/go is missing",
        to.display()
    );
    Ok(())
}
