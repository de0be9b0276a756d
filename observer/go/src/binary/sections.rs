//! The sections of debug information, unpacked.

use object::{
    LittleEndian as LE,
    elf::{CompressionHeader64, ELFCOMPRESS_ZLIB, ELFCOMPRESS_ZSTD},
    pod,
    read::{CompressedData, CompressionFormat},
};

use super::{elf::ElfFile, error::InspectError};

/// Most bytes of one section, unpacked.
const MOST_BYTES: u64 = 192 << 20;

/// The sections that names and types are in.
#[derive(Default)]
pub(super) struct Sections {
    pub(super) info: Vec<u8>,
    pub(super) abbreviations: Vec<u8>,
    pub(super) strings: Vec<u8>,
    pub(super) line_strings: Vec<u8>,
}

impl Sections {
    pub(super) fn open(image: &ElfFile<'_>) -> Result<Option<Self>, InspectError> {
        let mut sections = Self::default();
        for (name, into) in [
            (".debug_info", &mut sections.info),
            (".debug_abbrev", &mut sections.abbreviations),
            (".debug_str", &mut sections.strings),
            (".debug_line_str", &mut sections.line_strings),
        ] {
            *into = unpacked(image, name)?;
        }
        let there = !sections.info.is_empty() && !sections.abbreviations.is_empty();
        Ok(there.then_some(sections))
    }
}

/// A section's bytes; none where it is not there, too large or damaged.
fn unpacked(image: &ElfFile<'_>, name: &str) -> Result<Vec<u8>, InspectError> {
    let what = "debug information";
    let Some(section) = image.sections.iter().find(|section| section.name == name) else {
        return Ok(Vec::new());
    };
    let range = section.range;
    if range.size > MOST_BYTES {
        return Ok(Vec::new());
    }
    let bytes = image
        .reader
        .bytes(what, range.offset, range.size, MOST_BYTES)?;
    if !section.compressed {
        return Ok(bytes);
    }
    let Ok((header, data)) = pod::from_bytes::<CompressionHeader64<LE>>(&bytes) else {
        return Ok(Vec::new());
    };
    let size = header.ch_size.get(LE);
    let kind = header.ch_type.get(LE);
    let format = if kind == ELFCOMPRESS_ZLIB {
        CompressionFormat::Zlib
    } else if kind == ELFCOMPRESS_ZSTD {
        CompressionFormat::Zstandard
    } else {
        return Ok(Vec::new());
    };
    if size > MOST_BYTES {
        return Ok(Vec::new());
    }
    image.reader.charge(size / 4)?;
    let packed = CompressedData {
        format,
        data,
        uncompressed_size: size,
    };
    Ok(packed
        .decompress()
        .map_or_else(|_| Vec::new(), std::borrow::Cow::into_owned))
}
