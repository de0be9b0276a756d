//! `cargo xtask layouts`: where the fields of Go's runtime lie in each
//! release, read from what that release's compiler says about them.
//!
//! The reading is done by a small Go program (`xtask/layouts/main.go`), since
//! Go's standard library reads its own compiler's debug information in every
//! version it was ever written in.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

/// Builds the fixture with every toolchain, for amd64 and arm64, and writes
/// the table to `out`. `toolchains` are version (`1.26.8`, `1.17`) and GOROOT;
/// each must be a tree whose `bin/go` runs. The newest runs the program.
///
/// A field is taken to lie between two releases of the list where it lies in
/// both; so the list should have, of every minor version, the first and the
/// last patch, and both sides of every patch that moved a field.
pub(crate) fn run(toolchains: &[(String, PathBuf)], out: &Path) -> anyhow::Result<()> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("layouts");
    let Some((_, newest)) = toolchains
        .iter()
        .max_by_key(|(version, _)| numbers(version))
    else {
        bail!("no Go toolchain is given to read layouts from");
    };
    let work = env::temp_dir().join(format!("go-observer-layouts-{}", std::process::id()));
    fs::create_dir_all(&work).with_context(|| format!("creating {}", work.display()))?;
    let result = read(toolchains, newest, &source, &work, out);
    fs::remove_dir_all(&work).with_context(|| format!("removing {}", work.display()))?;
    result
}

fn read(
    toolchains: &[(String, PathBuf)],
    newest: &Path,
    source: &Path,
    work: &Path,
    out: &Path,
) -> anyhow::Result<()> {
    let go = newest.join("bin/go");
    let status = Command::new(&go)
        .arg("run")
        .arg(source.join("main.go"))
        .arg("-fixture")
        .arg(source.join("fixture/main.go"))
        .arg("-work")
        .arg(work)
        .arg("-out")
        .arg(out)
        .args(
            toolchains
                .iter()
                .map(|(version, root)| format!("{version}={}", root.display())),
        )
        .current_dir(work)
        .env("GOROOT", newest)
        .env("GOTOOLCHAIN", "local")
        .env("GOENV", "off")
        .env("GOFLAGS", "")
        .env("GO111MODULE", "off")
        .status()
        .with_context(|| format!("running {}", go.display()))?;
    if !status.success() {
        bail!(
            "{} run {}/main.go: {status}",
            go.display(),
            source.display()
        );
    }
    Ok(())
}

/// `1.26.8` as numbers, to tell the newest.
fn numbers(version: &str) -> Vec<u32> {
    version
        .split('.')
        .filter_map(|part| part.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn the_newest_is_told_by_number() {
        assert!(numbers("1.26.10") > numbers("1.26.8"));
        assert!(numbers("1.17") < numbers("1.17.1"));
    }
}
