//! Images of the demo workload, built by several versions of Go.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use observer_releases::{NEWEST, OLDEST, go1};

use super::{
    archive::Image,
    files::{builds, end, names, read, write},
};
use crate::{
    arch::Arch,
    setup::go,
    ui::{Step, step},
    workspace::Workspace,
};

/// What is built unless versions are asked for.
const VERSIONS: [&str; 3] = [OLDEST, go1(22), NEWEST];

/// One archive for each version, for all these architectures.
pub(crate) fn images(
    workspace: &Workspace,
    versions: &[String],
    arches: &[Arch],
    output: &Path,
) -> Result<Vec<PathBuf>> {
    let versions: Vec<&str> = if versions.is_empty() {
        VERSIONS.to_vec()
    } else {
        versions.iter().map(String::as_str).collect()
    };
    for version in &versions {
        minor(version)?;
    }
    go::toolchains(workspace, &versions)?;
    let mut archives = Vec::new();
    for version in &versions {
        archives.push(image(workspace, version, arches, output)?);
    }
    Ok(archives)
}

fn image(workspace: &Workspace, version: &str, arches: &[Arch], output: &Path) -> Result<PathBuf> {
    let title = format!("image of the demo, Go {version}, {}", names(arches));
    step(&title, |step| {
        let built = arches
            .iter()
            .map(|arch| read(&program(workspace, step, version, *arch)?));
        let built = built.collect::<Result<Vec<_>>>()?;
        let image = Image {
            name: &format!("go-observer/burst:go{version}"),
            program: "burst",
            builds: &builds(arches, &built),
            arguments: &[],
            labels: &[("org.opencontainers.image.title", "burst")],
        };
        let archive = output.join(format!("burst-go{version}{}.tar", end(arches)));
        let size = write(&image, &archive)?;
        step.note(format!("{}, {:.1} MB", image.name, size as f64 / 1e6));
        Ok(archive)
    })
}

/// Builds the workload.
fn program(workspace: &Workspace, step: &Step, version: &str, arch: Arch) -> Result<PathBuf> {
    let work = workspace.cache.join("demo").join(version);
    fs::create_dir_all(&work)?;
    let program = work.join(format!("burst-{}", arch.name()));
    let module = module(workspace, version, &work)?;
    let mut command = workspace.command(go::root(workspace, version).join("bin/go"));
    command
        .current_dir(source(workspace))
        .args(["build", "-trimpath", "-ldflags=-s -w"]);
    if minor(version)? >= 18 {
        // A checkout without git, or of another user, must build as well.
        command.arg("-buildvcs=false");
    }
    command
        .arg("-modfile")
        .arg(module)
        .arg("-o")
        .arg(&program)
        .arg(".")
        .env_remove("GOROOT")
        .env("CGO_ENABLED", "0")
        .env("GOARCH", arch.name())
        .env("GOCACHE", workspace.cache.go_build())
        .env("GOENV", "off")
        .env("GOFLAGS", "")
        .env("GOOS", "linux")
        .env("GOTOOLCHAIN", "local");
    step.run(&mut command)?;
    Ok(program)
}

fn source(workspace: &Workspace) -> PathBuf {
    workspace.root.join("deploy/examples/burst")
}

/// The module file, with no newer Go in it than the one that builds: since
/// 1.21 a toolchain refuses what asks for more than it is.
fn module(workspace: &Workspace, version: &str, work: &Path) -> Result<PathBuf> {
    let path = source(workspace).join("go.mod");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let lowered = work.join("go.mod");
    fs::write(&lowered, lower(&text, minor(version)?)?)?;
    Ok(lowered)
}

fn lower(text: &str, most: u32) -> Result<String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("go ") {
            Some(asked) if minor(asked.trim())? > most => lines.push(format!("go 1.{most}")),
            _ => lines.push(line.to_owned()),
        }
    }
    Ok(lines.join("\n") + "\n")
}

fn minor(version: &str) -> Result<u32> {
    let minor = version
        .strip_prefix("1.")
        .and_then(|rest| rest.split('.').next()?.parse().ok());
    let minor = minor.with_context(|| {
        format!("`{version}` is no version of Go: expected one such as 1.22.12")
    })?;
    let oldest = observer_releases::minor(OLDEST);
    ensure!(
        minor >= oldest,
        "Go {version} is not observed: expected 1.{oldest} or newer"
    );
    Ok(minor)
}

#[cfg(test)]
mod tests {
    use super::{lower, minor};

    #[test]
    fn only_an_older_go_changes_the_module_file() {
        let text = "module burst\n\ngo 1.25\n";
        assert_eq!(lower(text, 27).unwrap(), text);
        assert_eq!(lower(text, 17).unwrap(), "module burst\n\ngo 1.17\n");
    }

    #[test]
    fn versions_are_checked() {
        assert_eq!(minor("1.22.12").unwrap(), 22);
        assert!(minor("22").unwrap_err().to_string().contains("such as"));
        assert!(minor("1.16.5").unwrap_err().to_string().contains("1.17"));
    }
}
