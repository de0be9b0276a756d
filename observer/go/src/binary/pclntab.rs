//! The function table's header: parsing, and telling a real one from data
//! that merely looks like one.

use super::{
    elf::{ElfFile, Range},
    error::InspectError,
    file_reader::{u32_at, u64_at},
};
use crate::release::Arch;

/// Go 1.16 and 1.17.
pub(super) const MAGIC_116: u32 = 0xffff_fffa;
/// Go 1.18 and 1.19.
pub(super) const MAGIC_118: u32 = 0xffff_fff0;
/// Go 1.20 and newer.
pub(super) const MAGIC_120: u32 = 0xffff_fff1;

const HEADER: u64 = 72;
/// No program comes near; the largest known have under a million.
const MAX_FUNCTIONS: u64 = 1 << 23;
/// How many entries of a candidate are looked at.
const SAMPLE: u64 = 32;
/// The longest function name.
pub(super) const MAX_NAME_BYTES: usize = 32 << 10;

/// Where the parts of a function table are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) magic: u32,
    /// The table, up to the end of what may hold it.
    pub(super) range: Range,
    pub(super) functions: u64,
    /// 0 for 1.17, whose addresses are absolute, and where the header does not tell.
    pub(super) text_start: u64,
    /// Offsets from the table's start.
    pub(super) names: u64,
    pub(super) names_end: u64,
    /// The tables of values by program counter, up to `pcln`.
    pub(super) pctab: u64,
    pub(super) pcln: u64,
}

impl Header {
    /// Reads the header at the start of `range` and checks that its parts
    /// lie inside and in order.
    pub(super) fn read(image: &ElfFile<'_>, range: Range) -> Result<Self, InspectError> {
        let what = "the function table's header";
        if range.size < HEADER {
            return Err(InspectError::Truncated {
                what,
                at: range.address,
                need: HEADER,
            });
        }
        let bytes = image.reader.bytes(what, range.offset, HEADER, HEADER)?;
        let bad = |what, value| Err(InspectError::Malformed { what, value });
        let magic = u32_at(&bytes, 0);
        if ![MAGIC_116, MAGIC_118, MAGIC_120].contains(&magic) {
            return bad("the function table's magic", magic.into());
        }
        let quantum = match image.arch {
            Arch::Amd64 => 1,
            Arch::Arm64 => 4,
        };
        if bytes[4..8] != [0, 0, quantum, 8] {
            return bad(
                "the function table's pointer size and quantum",
                u64_at(&bytes, 0),
            );
        }
        let functions = u64_at(&bytes, 8);
        if functions == 0 || functions > MAX_FUNCTIONS {
            return bad("the number of functions", functions);
        }
        // 1.18 put the start of the code before the offsets.
        let offsets = if magic == MAGIC_116 { 24 } else { 32 };
        let mut parts = [0; 6];
        for (index, part) in parts[..5].iter_mut().enumerate() {
            *part = u64_at(&bytes, offsets + index * 8);
        }
        parts[5] = range.size;
        if parts[0] < offsets as u64 + 40 || !parts.is_sorted() {
            return bad("an offset in the function table's header", parts[0]);
        }
        let text_start = match magic {
            MAGIC_116 => 0,
            // From 1.26 on it is zero, and nothing is relocated here.
            _ => image.word(what, range.address + 24)?,
        };
        let header = Self {
            magic,
            range,
            functions,
            text_start,
            names: parts[0],
            names_end: parts[1],
            pctab: parts[3],
            pcln: parts[4],
        };
        if header.functab_size() > range.size - header.pcln {
            return bad("the number of functions", functions);
        }
        Ok(header)
    }

    /// Bytes of an entry of the function table.
    pub(super) fn entry_size(&self) -> u64 {
        if self.magic == MAGIC_116 { 16 } else { 8 }
    }

    /// Bytes of all of them, the end mark included.
    pub(super) fn functab_size(&self) -> u64 {
        self.functions * self.entry_size() + self.entry_size() / 2
    }

    /// An entry's program counter as written and offset of its `_func`.
    pub(super) fn entry(&self, bytes: &[u8]) -> (u64, u64) {
        if self.magic == MAGIC_116 {
            (u64_at(bytes, 0), u64_at(bytes, 8))
        } else {
            (u32_at(bytes, 0).into(), u32_at(bytes, 4).into())
        }
    }

    /// The program counter alone, which is all that the end mark has.
    pub(super) fn pc(&self, bytes: &[u8]) -> u64 {
        if self.magic == MAGIC_116 {
            u64_at(bytes, 0)
        } else {
            u32_at(bytes, 0).into()
        }
    }

    /// File offset of the name offset in the `_func` at `function`.
    pub(super) fn name_place(&self, function: u64) -> Result<u64, InspectError> {
        self.field_place(function, 0)
    }

    /// The same of the offset of its table of lines.
    pub(super) fn lines_place(&self, function: u64) -> Result<u64, InspectError> {
        // Between them: args, deferreturn, pcsp, pcfile.
        self.field_place(function, 5)
    }

    /// File offset of a `_func`'s field of 32 bits; the address before them
    /// has been one since 1.18.
    fn field_place(&self, function: u64, index: u64) -> Result<u64, InspectError> {
        let skip = 4 * index + if self.magic == MAGIC_116 { 8 } else { 4 };
        let size = self.range.size - self.pcln;
        if function < self.functab_size() || function > size.saturating_sub(skip + 4) {
            return Err(InspectError::Malformed {
                what: "a function's offset",
                value: function,
            });
        }
        Ok(self.range.offset + self.pcln + function + skip)
    }

    /// The name at an offset in the name table.
    pub(super) fn name(&self, image: &ElfFile<'_>, offset: u64) -> Result<String, InspectError> {
        let what = "a function's name";
        let bad = || InspectError::Malformed {
            what,
            value: offset,
        };
        let there = (self.names_end - self.names)
            .checked_sub(offset)
            .ok_or_else(bad)?;
        let start = self.range.offset + self.names + offset;
        for limit in [256, MAX_NAME_BYTES as u64] {
            let size = there.min(limit);
            let bytes = image.reader.bytes(what, start, size, size)?;
            if let Some(end) = memchr::memchr(0, &bytes) {
                return match std::str::from_utf8(&bytes[..end]) {
                    Ok(name) if !name.is_empty() => Ok(name.to_owned()),
                    _ => Err(bad()),
                };
            }
        }
        Err(bad())
    }

    /// Looks at the first functions: in order, with names.
    pub(super) fn check_sample(&self, image: &ElfFile<'_>) -> Result<(), InspectError> {
        let what = "the function table";
        let count = self.functions.min(SAMPLE);
        let size = count * self.entry_size();
        let address = self.range.address + self.pcln;
        let mut bytes = image
            .reader
            .bytes(what, self.range.offset + self.pcln, size, size)?;
        if self.magic == MAGIC_116 {
            image.load_pointers(address, &mut bytes, &[0])?;
        }
        let mut last = None;
        for entry in bytes.chunks_exact(self.entry_size() as usize) {
            let (pc, function) = self.entry(entry);
            if last.is_some_and(|last| pc < last) {
                return Err(InspectError::Malformed {
                    what: "a function's address",
                    value: pc,
                });
            }
            last = Some(pc);
            let mut offset = [0; 4];
            image
                .reader
                .read(what, self.name_place(function)?, &mut offset)?;
            let offset = u32::from_le_bytes(offset);
            // Go's linker gives the end marks of assembly functions no name.
            if offset != 0 || function == 0 {
                self.name(image, offset.into())?;
            }
        }
        if self.text_start == 0
            && self.magic == MAGIC_116
            && last.is_none_or(|last| image.code(last).is_none())
        {
            return Err(InspectError::Malformed {
                what: "a function's address",
                value: last.unwrap_or_default(),
            });
        }
        Ok(())
    }
}
