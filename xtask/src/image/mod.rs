//! Container images of the observer and of the demo workload, as OCI archives.

mod archive;
mod demo;
mod files;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use self::{
    archive::Image,
    files::{builds, end, names, read, write},
};
use crate::{arch::Arch, build, setup, ui::step, workspace::Workspace};

/// What the observer's image may hold, unpacked.
const MOST_BYTES: u64 = 16_000_000;
/// The workspace's: all its packages have one.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Settings of `cargo xtask image`.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// For which architecture; `all` makes one image for both.
    #[arg(long, value_enum, default_value_t = Wanted::Amd64)]
    arch: Wanted,
    /// Where the archives go; target/image of the checkout unless given.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// The demo workload's images instead of the observer's.
    #[arg(long)]
    demo: bool,
    /// Versions of Go to build the demo workload with, each a tag; the oldest,
    /// a middle one and the newest unless given.
    #[arg(long, value_name = "VERSION", value_delimiter = ',', requires = "demo")]
    go: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Wanted {
    Amd64,
    Arm64,
    All,
}

impl Wanted {
    fn list(self) -> &'static [Arch] {
        match self {
            Self::Amd64 => &[Arch::Amd64],
            Self::Arm64 => &[Arch::Arm64],
            Self::All => &Arch::ALL,
        }
    }
}

/// `cargo xtask image`: prints the archives' paths.
pub(crate) fn images(workspace: &Workspace, settings: &Settings) -> Result<()> {
    let output = match &settings.output {
        Some(output) => std::path::absolute(output)?,
        None => directory(workspace),
    };
    let arches = settings.arch.list();
    let archives = if settings.demo {
        demo::images(workspace, &settings.go, arches, &output)?
    } else {
        vec![observer(workspace, arches, &output)?]
    };
    for archive in archives {
        println!("{}", archive.display());
    }
    Ok(())
}

/// The demo workload's images, one for each version of Go.
pub(crate) fn workloads(workspace: &Workspace, output: &Path) -> Result<Vec<PathBuf>> {
    demo::images(workspace, &[], &[Arch::Amd64], output)
}

/// Where archives go unless told otherwise.
pub(crate) fn directory(workspace: &Workspace) -> PathBuf {
    workspace.root.join("target/image")
}

/// Builds the program that the image holds.
pub(crate) fn program(workspace: &Workspace, arch: Arch) -> Result<PathBuf> {
    setup::image(workspace, arch)?;
    build::static_observer(workspace, arch.rust_target())
}

/// Builds the observer for each of these architectures, and one image for all of them.
pub(crate) fn observer(workspace: &Workspace, arches: &[Arch], output: &Path) -> Result<PathBuf> {
    let programs = arches.iter().map(|arch| program(workspace, *arch));
    let programs = programs.collect::<Result<Vec<_>>>()?;
    step(
        &format!("image of observer for {}", names(arches)),
        |step| {
            let mut contents = Vec::new();
            for program in &programs {
                let program = read(program)?;
                within_bounds(program.len() as u64)?;
                contents.push(program);
            }
            let labels = [
                ("org.opencontainers.image.title", "go-observer"),
                ("org.opencontainers.image.version", VERSION),
                ("org.opencontainers.image.licenses", "MIT OR Apache-2.0"),
            ];
            let image = Image {
                name: &format!("go-observer/observer:{VERSION}"),
                program: "observer",
                builds: &builds(arches, &contents),
                arguments: &[],
                labels: &labels,
            };
            let archive = output.join(format!("observer-{VERSION}{}.tar", end(arches)));
            let size = write(&image, &archive)?;
            let sizes = contents.iter().map(|program| program.len() as f64 / 1e6);
            let sizes: Vec<_> = sizes.map(|size| format!("{size:.1} MB")).collect();
            step.note(format!(
                "{}, program {}, archive {:.1} MB",
                image.name,
                sizes.join(" and "),
                size as f64 / 1e6
            ));
            Ok(archive)
        },
    )
}

fn within_bounds(size: u64) -> Result<()> {
    ensure!(
        size <= MOST_BYTES,
        "the observer is {:.1} MB, and its image may hold {:.1} MB: see what made it larger with \
         `cargo bloat --release --crates`",
        size as f64 / 1e6,
        MOST_BYTES as f64 / 1e6
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{MOST_BYTES, within_bounds};

    #[test]
    fn an_image_above_the_bound_is_refused() {
        assert!(within_bounds(MOST_BYTES).is_ok());
        let error = within_bounds(MOST_BYTES + 100_000).unwrap_err();
        assert!(error.to_string().contains("16.1 MB"), "{error}");
    }
}
