//! What fuzzing begins with: programs, recordings, texts.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use observer_releases::{NEWEST, OLDEST, go1, minor};

use crate::workspace::Workspace;

/// Builds of a program to change, each with another layout of the function table.
const BUILDS: [(&str, &str); 5] = [
    (OLDEST, "stripped"),
    (go1(19), "piestripped"),
    (go1(22), "stripped"),
    (NEWEST, "cgopiestripped"),
    (NEWEST, "stripped"),
];

/// Where a target's seeds come from and where they go.
pub(super) struct SeedFolders<'a> {
    workspace: &'a Workspace,
    fixtures: &'a Path,
    /// Files that inputs are changes of.
    pub(super) originals: PathBuf,
    /// Inputs.
    pub(super) corpus: PathBuf,
}

impl<'a> SeedFolders<'a> {
    pub(super) fn of(
        workspace: &'a Workspace,
        fixtures: &'a Path,
        all: &Path,
        name: &str,
    ) -> Result<Self> {
        let place = Self {
            workspace,
            fixtures,
            originals: all.join("originals").join(name),
            corpus: all.join(name),
        };
        fs::create_dir_all(&place.corpus)?;
        // Those of an older run would stand at other numbers.
        if place.originals.exists() {
            fs::remove_dir_all(&place.originals)?;
        }
        fs::create_dir_all(&place.originals)?;
        Ok(place)
    }

    /// Writes an input for every original: it unchanged, to begin with.
    fn number(&self) -> Result<()> {
        let entries = fs::read_dir(&self.originals)?;
        let names: Result<Vec<_>, _> = entries.map(|entry| entry.map(|e| e.file_name())).collect();
        let mut names = names?;
        names.sort();
        for (number, name) in names.iter().enumerate() {
            fs::write(self.corpus.join(name), [u8::try_from(number)?])?;
        }
        Ok(())
    }
}

/// For `inspect`.
pub(super) fn programs(place: &SeedFolders<'_>) -> Result<()> {
    for (version, variant) in BUILDS {
        let name = format!("workload-{version}-{variant}");
        fs::copy(place.fixtures.join(&name), place.originals.join(&name))?;
    }
    place.number()
}

/// For `dwarf`: one program with its debug information as zlib, as zstd and as it is.
/// Go's linker compresses it with zlib. It is asked only of a release that is not there
/// yet, so the program is made to say such a one, which is as long to spell.
pub(super) fn newer_programs(place: &SeedFolders<'_>) -> Result<()> {
    let path = place.fixtures.join(format!("idle-{NEWEST}-default"));
    let mut data = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let old = format!("go{NEWEST}");
    let next = minor(NEWEST) + 1;
    let new = old.replacen(&minor(NEWEST).to_string(), &next.to_string(), 1);
    ensure!(old.len() == new.len(), "{new} is not as long as {old}");
    let [old, new] = [old.as_bytes(), new.as_bytes()];
    let places: Vec<usize> = (0..data.len().saturating_sub(old.len()))
        .filter(|at| data[*at..].starts_with(old))
        .collect();
    ensure!(
        !places.is_empty(),
        "{} does not say its release",
        path.display()
    );
    for at in places {
        data[at..at + new.len()].copy_from_slice(new);
    }
    let zlib = place.originals.join("zlib");
    fs::write(&zlib, data)?;
    for (name, how) in [
        ("plain", "--decompress-debug-sections"),
        ("zstd", "--compress-debug-sections=zstd"),
    ] {
        let mut command = place.workspace.command("objcopy");
        command.arg(how).arg(&zlib).arg(place.originals.join(name));
        let output = command
            .output()
            .context("cannot start objcopy; install binutils")?;
        ensure!(
            output.status.success(),
            "objcopy {how} failed; expected binutils 2.40 or newer, with zstd: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    place.number()
}

/// For `memory`: what the unit tests replay.
pub(super) fn recordings(place: &SeedFolders<'_>) -> Result<()> {
    let all = place
        .workspace
        .root
        .join("observer/go/src/runtime/testdata");
    for release in fs::read_dir(&all)? {
        let release = release?;
        if !release.path().is_dir() {
            continue;
        }
        for name in ["first.txt.gz", "second.txt.gz"] {
            let to = format!("{}-{name}", release.file_name().to_string_lossy());
            fs::copy(release.path().join(name), place.originals.join(to))?;
        }
    }
    place.number()
}

/// For `texts`.
pub(super) fn texts(place: &SeedFolders<'_>) -> Result<()> {
    for seed in fs::read_dir(place.workspace.root.join("tests/fuzz/seeds/texts"))? {
        let seed = seed?;
        fs::copy(seed.path(), place.corpus.join(seed.file_name()))?;
    }
    Ok(())
}
