//! What the fuzz targets share: real programs and recordings to begin with, and small
//! changes of them.
//!
//! An input is a list of changes: its first byte chooses one of the originals (or none:
//! then the rest is the whole file), and every twelve bytes after it are one change. So
//! inputs stay small, and a change meets the tables that are read rather than megabytes
//! of code.

mod bounded;

use std::{env, fs, path::PathBuf};

/// Where the originals are that a target begins with; `cargo xtask fuzz` says it.
pub const ORIGINALS: &str = "OBSERVER_FUZZ_ORIGINALS";

/// A file and where the tables begin that are worth changing.
pub struct Program {
    data: Vec<u8>,
    places: Vec<usize>,
}

impl Program {
    /// Of a file whose beginning and these places are changed.
    pub fn new(data: Vec<u8>, places: impl FnOnce(&[u8]) -> Vec<usize>) -> Self {
        let mut all = vec![0];
        all.extend(places(&data));
        Self { data, places: all }
    }

    /// With the changes: each is a place, an offset from it, and eight bytes to put there.
    pub fn changed(&self, changes: &[u8]) -> Vec<u8> {
        let mut data = self.data.clone();
        for change in changes.chunks_exact(12) {
            let place = self.places[usize::from(change[0]) % self.places.len()];
            let offset = u32::from_le_bytes([change[1], change[2], change[3], 0]) as usize;
            let at = (place + offset) % (data.len() - 8);
            data[at..at + 8].copy_from_slice(&change[4..]);
        }
        data
    }
}

/// All originals, in an order that is the same in every run: the same byte must choose
/// the same one.
pub fn originals() -> Vec<(PathBuf, Vec<u8>)> {
    let directory = env::var_os(ORIGINALS)
        .unwrap_or_else(|| panic!("{ORIGINALS} is not set; run cargo xtask fuzz"));
    let entries = fs::read_dir(&directory).expect("read the directory of originals");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        let data = fs::read(&path).expect("read an original");
        (path, data)
    };
    paths.into_iter().map(read).collect()
}

/// The original that an input chooses, and its changes; no original where the rest is a
/// file of its own.
pub fn choose<'a, T>(all: &'a [T], input: &'a [u8]) -> Option<(Option<&'a T>, &'a [u8])> {
    let (which, rest) = input.split_first()?;
    Some((all.get(usize::from(*which) % (all.len() + 1)), rest))
}
