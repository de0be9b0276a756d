//! Finding the function table, and the address its functions count from.
//!
//! The magic may also stand in a program's own data, whole tables of other
//! programs included (embedded executables). So what a scan finds counts only
//! if the runtime's `moduledata` points to it.

use super::{
    FunctionTable,
    elf::{ElfFile, Range},
    error::InspectError,
    file_reader::u64_at,
    pclntab::{Header, MAGIC_116, MAGIC_118, MAGIC_120},
    scan,
};

/// How many tables that look right are considered.
const MAX_CANDIDATES: usize = 64;
/// How many words that may be pointers to them.
const MAX_POINTERS: usize = 4096;

// Offsets in runtime.moduledata, the same since 1.17.
const PC_HEADER: usize = 0;
const FUNCNAMETAB: usize = 8;
const FTAB: usize = 128;
const MINPC: usize = 160;
const MAXPC: usize = 168;
const TEXT: usize = 176;
const ETEXT: usize = 184;
const MODULEDATA: u64 = 192;

/// Finds the function table; `None` where there is none.
pub(super) fn find(image: &ElfFile<'_>) -> Result<Option<(Header, FunctionTable)>, InspectError> {
    for name in [".gopclntab", ".data.rel.ro.gopclntab"] {
        let Some(range) = image.section(name) else {
            continue;
        };
        let header = match Header::read(image, range) {
            Ok(header) => header,
            Err(error) if is_fatal(&error) => return Err(error),
            // A wrong section header is no reason not to look.
            Err(_) => continue,
        };
        if let Err(error) = header.check_sample(image) {
            if is_fatal(&error) {
                return Err(error);
            }
            continue;
        }
        let found_by = format!("section {name}");
        if header.magic == MAGIC_116 || header.text_start != 0 {
            return Ok(Some(finish(header, found_by)));
        }
        if let Some(header) = with_moduledata(image, &[header])? {
            return Ok(Some(finish(header, found_by)));
        }
    }
    if let Some(range) = image.section(".data.rel.ro")
        && let Some(header) = by_scan(image, &[range])?
    {
        return Ok(Some(finish(header, "scan of .data.rel.ro".to_owned())));
    }
    let segments: Vec<_> = image.segments.iter().map(|segment| segment.range).collect();
    let header = by_scan(image, &segments)?;
    Ok(header.map(|header| finish(header, "scan of a segment".to_owned())))
}

/// Whether an error says that the file cannot be read on, not that one
/// candidate was wrong.
fn is_fatal(error: &InspectError) -> bool {
    matches!(
        error,
        InspectError::Io { .. } | InspectError::WorkExceeded { .. }
    )
}

fn finish(header: Header, found_by: String) -> (Header, FunctionTable) {
    let table = FunctionTable {
        address: header.range.address,
        magic: header.magic,
        found_by,
        text_start: header.text_start,
        functions: header.functions as u32,
    };
    (header, table)
}

fn by_scan(image: &ElfFile<'_>, ranges: &[Range]) -> Result<Option<Header>, InspectError> {
    let mut candidates = Vec::new();
    let mut fatal = Ok(());
    for &range in ranges {
        // What the three magics and the padding after them have in common;
        // the rest of the header decides.
        scan::pattern(image, range, &[0xff, 0xff, 0xff, 0, 0], 1, &mut |address| {
            let Some(table) = address.checked_sub(1).filter(|at| at.is_multiple_of(8)) else {
                return true;
            };
            let Some(table) = range.from(table) else {
                return true;
            };
            match Header::read(image, table).and_then(|h| h.check_sample(image).map(|()| h)) {
                Ok(header) => candidates.push(header),
                Err(error) if is_fatal(&error) => fatal = Err(error),
                Err(_) => {}
            }
            fatal.is_ok() && candidates.len() < MAX_CANDIDATES
        })?;
        std::mem::replace(&mut fatal, Ok(()))?;
    }
    with_moduledata(image, &candidates)
}

/// The candidate that a `moduledata` points to, with the start of its code.
fn with_moduledata(
    image: &ElfFile<'_>,
    candidates: &[Header],
) -> Result<Option<Header>, InspectError> {
    let addresses = || candidates.iter().map(|header| header.range.address);
    let (Some(low), Some(high)) = (addresses().min(), addresses().max()) else {
        return Ok(None);
    };
    if let Some(range) = image.section(".go.module")
        && let Some(header) = check(image, range.address, candidates)?
    {
        return Ok(Some(header));
    }
    let mut places = Vec::new();
    for segment in image.segments.iter().filter(|segment| segment.writable) {
        scan::words(image, segment.range, (low, high), &mut |place, word| {
            if addresses().any(|address| address == word) {
                places.push(place);
            }
            places.len() < MAX_POINTERS
        })?;
    }
    if let Some(header) = first(image, &places, candidates)? {
        return Ok(Some(header));
    }
    places.clear();
    image.each_relocation(&mut |place, value| {
        if places.len() < MAX_POINTERS && addresses().any(|address| address == value) {
            places.push(place);
        }
    })?;
    first(image, &places, candidates)
}

fn first(
    image: &ElfFile<'_>,
    places: &[u64],
    candidates: &[Header],
) -> Result<Option<Header>, InspectError> {
    for &place in places {
        if let Some(header) = check(image, place, candidates)? {
            return Ok(Some(header));
        }
    }
    Ok(None)
}

/// Whether the words at `place` are a moduledata of one of the candidates.
fn check(
    image: &ElfFile<'_>,
    place: u64,
    candidates: &[Header],
) -> Result<Option<Header>, InspectError> {
    let mut bytes = match image.bytes("the module data", place, MODULEDATA, MODULEDATA) {
        Ok(bytes) => bytes,
        Err(error) if is_fatal(&error) => return Err(error),
        Err(_) => return Ok(None),
    };
    // Lengths are never relocated: they tell whether the pointers are worth it.
    let length = u64_at(&bytes, FTAB + 8);
    let fits = |header: &&Header| {
        length == header.functions + 1 || (length == header.functions && length > 0)
    };
    if !candidates.iter().any(|header| fits(&header)) {
        return Ok(None);
    }
    match image.load_pointers(place, &mut bytes, &[TEXT, PC_HEADER]) {
        Err(error) if is_fatal(&error) => return Err(error),
        Err(_) => return Ok(None),
        Ok(()) => {}
    }
    let word = |at| u64_at(&bytes, at);
    let matches = |header: &&Header| {
        let base = header.range.address;
        word(PC_HEADER) == base
            && word(FUNCNAMETAB) == base + header.names
            && word(FTAB) == base + header.pcln
            && (header.magic == MAGIC_116
                || header.text_start == 0
                || header.text_start == word(TEXT))
    };
    let Some(header) = candidates.iter().filter(fits).find(matches) else {
        return Ok(None);
    };
    let ordered = word(TEXT) <= word(MINPC) && word(MINPC) < word(MAXPC);
    if !ordered || word(TEXT) >= word(ETEXT) || image.code(word(MINPC)).is_none() {
        return Ok(None);
    }
    let mut header = *header;
    if header.magic == MAGIC_118 || header.magic == MAGIC_120 {
        header.text_start = word(TEXT);
    }
    Ok(Some(header))
}
