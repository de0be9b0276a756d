//! Programs that go into images, and the archives that images go into.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use super::archive::Image;

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
