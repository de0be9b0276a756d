//! A process's memory is a stranger's too: recordings of every release, with words that
//! are something else, and files that are meant to be recordings. Whatever is read, no
//! figure is one that no program can have, and no counter goes back.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use observer_fuzz::{choose, originals};
use observer_go::runtime::{Recording, fuzz_invariants};

fn recordings() -> &'static [Recording] {
    static RECORDINGS: OnceLock<Vec<Recording>> = OnceLock::new();
    RECORDINGS.get_or_init(|| {
        let read = |data: Vec<u8>| Recording::read(&*data).expect("a recording");
        originals()
            .into_iter()
            .map(|(_, data)| read(data))
            .collect()
    })
}

fuzz_target!(|input: &[u8]| {
    match choose(recordings(), input) {
        Some((Some(recording), changes)) => {
            fuzz_invariants::replay(&fuzz_invariants::changed(recording, changes));
        }
        Some((None, file)) => fuzz_invariants::file(file),
        None => {}
    }
});
