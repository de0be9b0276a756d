//! Recorded programs of every release, replayed: against what they said themselves, with
//! words of two moments, and with words that somebody forged.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod elsewhere;
mod files;
mod hostile;
mod order;
mod torn;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use observer_testkit::{agreement::Agreement, program::Report};

use super::{Read, Recording};
use crate::{
    release::{GoVersion, Layout},
    runtime::{RuntimeReader, StateFigures},
};

/// A program at two moments, and what it said between them.
pub(super) struct Recorded {
    pub(super) name: String,
    pub(super) first: Recording,
    pub(super) second: Recording,
    pub(super) said: Report,
}

impl Recorded {
    fn read(directory: &Path) -> Self {
        let open = |name| File::open(directory.join(name)).unwrap();
        Self {
            name: directory.file_name().unwrap().to_str().unwrap().to_owned(),
            first: Recording::read(open("first.txt.gz")).unwrap(),
            second: Recording::read(open("second.txt.gz")).unwrap(),
            said: serde_json::from_reader(open("said.json")).unwrap(),
        }
    }

    /// Both moments, one after the other.
    pub(super) fn both(&self) -> Recording {
        let mut both = self.first.clone();
        both.reads.extend_from_slice(&self.second.reads);
        both
    }
}

/// One of each release.
pub(super) fn all() -> &'static [Recorded] {
    static ALL: LazyLock<Vec<Recorded>> = LazyLock::new(|| {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/runtime/testdata");
        let entries = fs::read_dir(directory).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut directories: Vec<PathBuf> = paths.filter(|path| path.is_dir()).collect();
        directories.sort();
        directories
            .iter()
            .map(|path| Recorded::read(path))
            .collect()
    });
    &ALL
}

/// A sample of what was recorded.
pub(super) fn sample(recording: &Recording) -> (RuntimeReader, Arc<StateFigures>) {
    let mut reader = recording.reader().unwrap();
    let figures = reader.sample().unwrap();
    (reader, figures)
}

/// Where a global is in the process.
pub(super) fn global(recording: &Recording, name: &str) -> u64 {
    let mut places = recording.program.places();
    let (_, address) = places.find(|(word, _)| *word == name).unwrap();
    address.wrapping_add(recording.bias)
}

/// The word that was read there.
pub(super) fn word(recording: &Recording, at: u64) -> u64 {
    let inside = recording.reads.iter().find_map(|read| {
        let offset = usize::try_from(at.checked_sub(read.address)?).ok()?;
        read.bytes.get(offset..offset + 8)
    });
    u64::from_le_bytes(inside.unwrap().try_into().unwrap())
}

/// Where the fields of its types lie.
pub(super) fn layout(recording: &Recording) -> Arc<Layout> {
    recording.program.layout().unwrap()
}

/// Numbers that look random, and are the same each time (xorshift).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) const fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[test]
fn every_release_was_recorded() {
    let releases = all().iter().map(|one| GoVersion::parse(&one.name));
    let minors: Vec<u16> = releases.map(|release| release.unwrap().minor).collect();
    let known: Vec<u16> = (GoVersion::OLDEST_MINOR..=GoVersion::NEWEST_MINOR).collect();
    assert_eq!(minors, known, "cargo xtask recordings");
}

#[test]
fn a_replay_says_what_the_program_said() {
    for one in all() {
        assert_eq!(one.first.version(), one.said.version);
        let json = |figures: &StateFigures| serde_json::to_value(figures).unwrap();
        let ((reader, before), (_, after)) = (sample(&one.first), sample(&one.second));
        let mut agreement = Agreement::default();
        agreement.compare(&json(&before), &one.said, &json(&after));
        assert!(agreement.wrong.is_empty(), "{}: {agreement:#?}", one.name);
        assert!(
            agreement.compared.len() >= 20,
            "{}: {agreement:#?}",
            one.name
        );
        let gaps = reader.gaps().iter().map(|gap| gap.reason);
        let expected = crate::release::GapReason::NotInRelease;
        assert!(
            gaps.eq(reader.gaps().iter().map(|_| expected)),
            "{}",
            one.name
        );
    }
}

#[test]
fn one_reader_sees_both_moments() {
    for one in all() {
        let (mut reader, first) = sample(&one.both());
        let second = reader.sample().unwrap();
        let mut alone = sample(&one.second).1.as_ref().clone();
        assert_eq!(first, sample(&one.first).1, "{}", one.name);
        // The pauses since the last sample, not since the start.
        alone.collections.recent = second.collections.recent.clone();
        assert_eq!(*second, alone, "{}", one.name);
        assert!(second.collections.cycles > first.collections.cycles);
    }
}

/// As the next observer may do: its layout has a field more, or it asks in another order.
#[test]
fn a_reader_that_asks_otherwise_gets_what_was_there() {
    for one in all() {
        let mut turned = one.first.clone();
        turned.reads.reverse();
        // The last read of each place is now the first; the program stood still.
        assert_eq!(sample(&turned).1, sample(&one.first).1, "{}", one.name);
        let mut parted = one.first.clone();
        parted.reads.sort_by_key(|read| read.address);
        assert_eq!(sample(&parted).1, sample(&one.first).1, "{}", one.name);
    }
}

/// The address of a read that a reader gets first of all.
fn first_of(reads: &[Read], address: u64) -> &Read {
    reads.iter().find(|read| read.address == address).unwrap()
}
