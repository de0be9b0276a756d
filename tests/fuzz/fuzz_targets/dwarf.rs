//! Debug information is asked where the table of layouts ends. These programs say that
//! they are of a release that is not there yet, so all of it is: as zlib, as zstd and
//! as it is.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use object::{Object as _, ObjectSection as _, read::elf::ElfFile64};
use observer_fuzz::{Program, choose, originals};
use observer_go::binary::{Inspected, inspect_bytes};

fn programs() -> &'static [Program] {
    static PROGRAMS: OnceLock<Vec<Program>> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let all = originals().into_iter();
        all.map(|(path, data)| {
            let described = match inspect_bytes(&data) {
                Ok(Inspected::Go(binary)) => binary.state.described.is_some(),
                _ => false,
            };
            assert!(described, "{} tells no layout", path.display());
            Program::new(data, sections)
        })
        .collect()
    })
}

/// Where sections with debug information begin, and the headers of all sections.
fn sections(data: &[u8]) -> Vec<usize> {
    let elf = ElfFile64::<object::Endianness>::parse(data).expect("an ELF file");
    let debug = elf.sections().filter(|section| {
        let name = section.name().unwrap_or_default();
        name.starts_with(".debug_")
    });
    let starts = debug.filter_map(|section| section.file_range());
    let mut places: Vec<usize> = starts.map(|(start, _)| start as usize).collect();
    let headers = &data[0x28..0x30];
    places.push(u64::from_le_bytes(headers.try_into().expect("eight bytes")) as usize);
    places
}

fuzz_target!(|input: &[u8]| {
    if let Some((Some(program), changes)) = choose(programs(), input) {
        let _ = inspect_bytes(&program.changed(changes));
    }
});
