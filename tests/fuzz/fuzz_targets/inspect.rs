//! An executable is data from a stranger: whatever it says, inspecting it ends in time
//! with a result or a typed error.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use memchr::memmem;
use observer_fuzz::{Program, choose, originals};
use observer_go::binary::inspect_bytes;

fn programs() -> &'static [Program] {
    static PROGRAMS: OnceLock<Vec<Program>> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let all = originals().into_iter();
        all.map(|(_, data)| Program::new(data, tables)).collect()
    })
}

/// Where the build information and function tables begin.
fn tables(data: &[u8]) -> Vec<usize> {
    const TABLES: [[u8; 8]; 3] = [
        [0xfa, 0xff, 0xff, 0xff, 0, 0, 1, 8],
        [0xf0, 0xff, 0xff, 0xff, 0, 0, 1, 8],
        [0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8],
    ];
    let marks = TABLES.iter().map(|magic| &magic[..]);
    let marks = marks.chain([&b"\xff Go buildinf:"[..]]);
    marks
        .flat_map(|mark| memmem::find_iter(data, mark))
        .collect()
}

fuzz_target!(|input: &[u8]| {
    let Some((program, rest)) = choose(programs(), input) else {
        return;
    };
    let _ = match program {
        Some(program) => inspect_bytes(&program.changed(rest)),
        None => inspect_bytes(rest),
    };
});
