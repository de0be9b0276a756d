//! An executable is data from a stranger: whatever it says, inspecting it
//! ends in time with a result or a typed error.
//!
//! An input is a list of changes to a real Go program: its first byte chooses
//! one of the programs in the directory `OBSERVER_FUZZ_PROGRAMS` (or none: then
//! the rest is the whole file), and every twelve bytes after it are a place, an
//! offset from it, and eight bytes to put there. So inputs stay small, and a
//! change meets the tables that are read rather than megabytes of code.
#![no_main]

use std::{env, fs, sync::OnceLock};

use libfuzzer_sys::fuzz_target;
use memchr::memmem;
use observer_go::binary::inspect_bytes;

struct Program {
    data: Vec<u8>,
    /// Where its headers, build information and function table begin.
    places: Vec<usize>,
}

fn programs() -> &'static [Program] {
    static PROGRAMS: OnceLock<Vec<Program>> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let directory = env::var_os("OBSERVER_FUZZ_PROGRAMS").expect(
            "set OBSERVER_FUZZ_PROGRAMS to a directory of Go programs; cargo xtask fuzz does",
        );
        let entries = fs::read_dir(directory).expect("read OBSERVER_FUZZ_PROGRAMS");
        let mut paths: Vec<_> = entries
            .map(|entry| entry.expect("an entry").path())
            .collect();
        // The same byte must choose the same program in every run.
        paths.sort();
        paths
            .iter()
            .map(|path| Program::new(fs::read(path).expect("read a program")))
            .collect()
    })
}

impl Program {
    fn new(data: Vec<u8>) -> Self {
        const TABLES: [[u8; 8]; 3] = [
            [0xfa, 0xff, 0xff, 0xff, 0, 0, 1, 8],
            [0xf0, 0xff, 0xff, 0xff, 0, 0, 1, 8],
            [0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8],
        ];
        let marks = TABLES.iter().map(|magic| &magic[..]);
        let marks = marks.chain([&b"\xff Go buildinf:"[..]]);
        let found = marks.flat_map(|mark| memmem::find_iter(&data, mark));
        let places = [0].into_iter().chain(found).collect();
        Self { data, places }
    }

    fn changed(&self, changes: &[u8]) -> Vec<u8> {
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

fuzz_target!(|input: &[u8]| {
    let Some((which, rest)) = input.split_first() else {
        return;
    };
    let programs = programs();
    let _ = match programs.get(usize::from(*which) % (programs.len() + 1)) {
        Some(program) => inspect_bytes(&program.changed(rest)),
        None => inspect_bytes(rest),
    };
});
