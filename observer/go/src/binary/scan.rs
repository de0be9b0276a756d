//! Searching stretches of a file in pieces.

use memchr::memmem;

use super::{
    elf::{ElfFile, Range},
    error::InspectError,
    file_reader::{CHUNK, u64_at},
};

/// Calls `visit` with the address of each occurrence of `pattern` at a
/// multiple of `align`, until it returns false.
pub(super) fn pattern(
    image: &ElfFile<'_>,
    range: Range,
    pattern: &[u8],
    align: u64,
    visit: &mut dyn FnMut(u64) -> bool,
) -> Result<(), InspectError> {
    let finder = memmem::Finder::new(pattern);
    pieces(
        image,
        range,
        pattern.len() as u64 - 1,
        &mut |address, bytes| {
            finder
                .find_iter(bytes)
                .map(|at| address + at as u64)
                .filter(|address| address.is_multiple_of(align))
                .all(&mut *visit)
        },
    )
}

/// Calls `visit` with the address and value of each aligned word between
/// `low` and `high`, both included.
pub(super) fn words(
    image: &ElfFile<'_>,
    range: Range,
    (low, high): (u64, u64),
    visit: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<(), InspectError> {
    let aligned = range
        .address
        .checked_next_multiple_of(8)
        .and_then(|at| range.from(at));
    let Some(range) = aligned else {
        return Ok(());
    };
    pieces(image, range, 0, &mut |address, bytes| {
        (0..bytes.len() / 8)
            .map(|index| (address + index as u64 * 8, u64_at(bytes, index * 8)))
            .filter(|&(_, word)| word >= low && word <= high)
            .all(|(address, word)| visit(address, word))
    })
}

/// Reads a range in pieces, each repeating the last `overlap` bytes of the one before.
fn pieces(
    image: &ElfFile<'_>,
    range: Range,
    overlap: u64,
    visit: &mut dyn FnMut(u64, &[u8]) -> bool,
) -> Result<(), InspectError> {
    let mut done = 0;
    let mut buffer = vec![0; range.size.min(CHUNK as u64) as usize];
    while range.size - done > overlap {
        let size = (range.size - done).min(CHUNK as u64);
        let piece = &mut buffer[..size as usize];
        image.reader.read("a segment", range.offset + done, piece)?;
        if !visit(range.address + done, piece) {
            break;
        }
        done += size - overlap;
    }
    Ok(())
}
