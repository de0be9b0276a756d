//! Programs that go into images, and the archives that images go into.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use super::archive::Image;
use crate::arch::Arch;

pub(super) fn write(image: &Image<'_>, archive: &Path) -> Result<u64> {
    if let Some(parent) = archive.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
    }
    image.write(archive)
}

pub(super) fn read(program: &Path) -> Result<Vec<u8>> {
    fs::read(program).with_context(|| format!("cannot read {}", program.display()))
}

/// Each architecture with what was built for it.
pub(super) fn builds<'a>(arches: &[Arch], contents: &'a [Vec<u8>]) -> Vec<(Arch, &'a [u8])> {
    let contents = contents.iter().map(Vec::as_slice);
    arches.iter().copied().zip(contents).collect()
}

/// Architectures, as a sentence has them.
pub(super) fn names(arches: &[Arch]) -> String {
    let names: Vec<_> = arches.iter().map(|arch| arch.name()).collect();
    names.join(" and ")
}

/// What the name of an archive ends with: that of all architectures has none.
pub(super) fn end(arches: &[Arch]) -> String {
    match arches {
        [one] => format!("-{}", one.name()),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{end, names};
    use crate::arch::Arch;

    #[test]
    fn an_archive_for_all_has_a_name_of_its_own() {
        assert_eq!(end(&[Arch::Arm64]), "-arm64");
        assert_eq!(end(&Arch::ALL), "");
        assert_eq!(names(&Arch::ALL), "amd64 and arm64");
    }
}
