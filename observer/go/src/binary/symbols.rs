//! A few symbols' addresses, where the file has a symbol table.

use std::collections::{BTreeSet, HashMap};

use memchr::memmem::Finder;
use object::{
    LittleEndian as LE,
    elf::{SHN_UNDEF, Sym64},
    pod,
};

use super::{elf::ElfFile, error::InspectError, file_reader::CHUNK};

/// Places where a wanted name may stand among all names; a linker writes each
/// name once.
const MOST_PLACES: usize = 1024;

/// Addresses of the symbols of these names. A table that cannot be read to the
/// end gives nothing: a file can be run without it.
pub(super) fn addresses(
    image: &ElfFile<'_>,
    names: &[&'static str],
) -> Result<HashMap<&'static str, u64>, InspectError> {
    match find(image, names) {
        Err(error @ (InspectError::Io { .. } | InspectError::WorkExceeded { .. })) => Err(error),
        Err(_) => Ok(HashMap::new()),
        found => found,
    }
}

fn find(
    image: &ElfFile<'_>,
    wanted: &[&'static str],
) -> Result<HashMap<&'static str, u64>, InspectError> {
    let what = "the symbol table";
    let mut found = HashMap::new();
    let Some((symbols, names)) = image.symbols else {
        return Ok(found);
    };
    let places = places(image, names.offset, names.size, wanted)?;
    let offsets: BTreeSet<u32> = places.keys().copied().collect();
    let record = size_of::<Sym64<LE>>() as u64;
    let (mut at, mut left) = (symbols.offset, symbols.size / record * record);
    while left > 0 && found.len() < wanted.len() {
        let size = (CHUNK as u64 / record * record).min(left);
        let bytes = image.reader.bytes(what, at, size, size)?;
        let Ok((records, _)) = pod::slice_from_bytes::<Sym64<LE>>(&bytes, (size / record) as usize)
        else {
            return Ok(found);
        };
        for symbol in records {
            let name = symbol.st_name.get(LE);
            if offsets.contains(&name) && symbol.st_shndx.get(LE) != SHN_UNDEF {
                found
                    .entry(places[&name])
                    .or_insert(symbol.st_value.get(LE));
            }
        }
        at += size;
        left -= size;
    }
    Ok(found)
}

/// Where in the names each wanted one stands; a name may be the end of another.
fn places(
    image: &ElfFile<'_>,
    start: u64,
    total: u64,
    wanted: &[&'static str],
) -> Result<HashMap<u32, &'static str>, InspectError> {
    let what = "the symbols' names";
    let terminated: Vec<Vec<u8>> = wanted
        .iter()
        .map(|name| [name.as_bytes(), &[0]].concat())
        .collect();
    let finders: Vec<_> = terminated.iter().map(Finder::new).collect();
    let overlap = terminated.iter().map(Vec::len).max().unwrap_or(1) as u64 - 1;
    let mut places = HashMap::new();
    let mut done = 0;
    while done < total {
        let size = (CHUNK as u64).min(total - done);
        let bytes = image.reader.bytes(what, start + done, size, size)?;
        for (name, finder) in wanted.iter().zip(&finders) {
            for at in finder.find_iter(&bytes) {
                places.insert((done + at as u64) as u32, *name);
                if places.len() > MOST_PLACES {
                    return Err(InspectError::TooLarge {
                        what,
                        value: places.len() as u64,
                        limit: MOST_PLACES as u64,
                    });
                }
            }
        }
        if done + size == total {
            break;
        }
        // A name that the piece cuts is seen whole in the next.
        done += size - overlap.min(size - 1);
    }
    Ok(places)
}
