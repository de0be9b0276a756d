//! The tests' Go programs that a guest is given.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{arch::Arch, fixtures, workspace::Workspace};

/// The programs of a guest of the tests.
pub(crate) fn programs(workspace: &Workspace, arch: Arch) -> Result<Vec<PathBuf>> {
    let built = fixtures::build(workspace, arch)?;
    let names = match arch {
        Arch::Amd64 => observer_releases::guest(),
        Arch::Arm64 => observer_releases::guest_of_arm64(),
    };
    let mut there: Vec<_> = fs::read_dir(&built)
        .with_context(|| format!("cannot read {}", built.display()))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    there.sort();
    let files = names.iter().flat_map(|name| chosen(name, &there));
    Ok(files.map(|file| built.join(file)).collect())
}

/// What a name stands for among those that are there: itself, or where it ends with `*`
/// all that begin like it.
fn chosen(name: &str, there: &[String]) -> Vec<String> {
    match name.strip_suffix('*') {
        Some(begin) => {
            let begin_like_it = there.iter().filter(|file| file.starts_with(begin));
            begin_like_it.cloned().collect()
        }
        None => vec![name.to_owned()],
    }
}

/// A file's path in a directory of the guest.
pub(crate) fn within(directory: &str, file: &Path) -> Result<String> {
    let name = file
        .file_name()
        .with_context(|| format!("{} has no name", file.display()))?;
    Ok(format!("{directory}/{}", name.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::chosen;

    #[test]
    fn a_star_stands_for_every_build() {
        let there = ["a-1.2-cgo", "a-1.2-pie", "a-1.20-pie", "b-1.2-pie"];
        let there = there.map(str::to_owned);
        assert_eq!(chosen("a-1.2-*", &there), ["a-1.2-cgo", "a-1.2-pie"]);
        // What is not there is missed when it is read.
        assert_eq!(chosen("a-1.2-default", &there), ["a-1.2-default"]);
    }
}
