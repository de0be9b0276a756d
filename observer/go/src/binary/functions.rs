//! Walking the function table: collecting functions, naming addresses.

use std::{collections::HashMap, fs::File};

use super::{
    FunctionCode, FunctionTable,
    elf::ElfFile,
    error::InspectError,
    file_reader::{CHUNK, FileReader, Window},
    lines, locate_pclntab,
    pclntab::{Header, MAGIC_116, MAX_NAME_BYTES},
};

/// A function's instructions are read up to here.
const MAX_CODE_BYTES: u64 = 64 << 10;
/// All collected functions' instructions.
const MAX_ALL_CODE_BYTES: u64 = 8 << 20;
/// Functions collected, and names they may have.
const MAX_COLLECTED: usize = 4096;
/// `_func` records are read this much at a time.
const STEP: usize = 64 << 10;

/// Where a function is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionRange {
    /// For example `runtime.newproc1`; not unique.
    pub name: String,
    /// Virtual address of its first instruction.
    pub address: u64,
    /// Where the next function begins.
    pub end: u64,
}

/// Where an address is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeLocation {
    /// The function that contains it.
    pub function: FunctionRange,
    /// The instruction's source line, where the table tells one. Of code from
    /// an inlined function it is the line there.
    pub line: Option<u32>,
}

/// The functions of an open file, read as they are asked for.
pub struct Functions<'s> {
    image: ElfFile<'s>,
    header: Header,
    table: FunctionTable,
}

impl<'s> Functions<'s> {
    /// Opens the function table; `None` where the file has none that is known.
    pub fn open(file: &'s File) -> Result<Option<Self>, InspectError> {
        let Ok(image) = ElfFile::open(FileReader::file(file)?)? else {
            return Ok(None);
        };
        let found = locate_pclntab::find(&image)?;
        Ok(found.map(|(header, table)| Self {
            image,
            header,
            table,
        }))
    }

    /// Where the table is.
    pub fn table(&self) -> &FunctionTable {
        &self.table
    }

    /// Every function whose name `wanted` accepts, by address.
    pub fn symbols(
        &self,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<FunctionRange>, InspectError> {
        symbols(&self.image, &self.header, wanted)
    }

    /// The same, with the instructions.
    pub fn collect(
        &self,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<FunctionCode>, InspectError> {
        collect(&self.image, &self.header, wanted)
    }

    /// The function that an address is in, and the line.
    pub fn resolve(&self, address: u64) -> Result<Option<CodeLocation>, InspectError> {
        let header = &self.header;
        let entry = |index: u64| -> Result<(u64, Vec<u8>), InspectError> {
            let size = if index == header.functions {
                header.entry_size() / 2
            } else {
                header.entry_size()
            };
            let at = header.pcln + index * header.entry_size();
            let bytes = table_bytes(&self.image, header, at, size)?;
            Ok((header.text_start.wrapping_add(header.pc(&bytes)), bytes))
        };
        let (mut low, mut high) = (0, header.functions);
        if address < entry(low)?.0 || address >= entry(high)?.0 {
            return Ok(None);
        }
        while high - low > 1 {
            let middle = low.midpoint(high);
            if entry(middle)?.0 <= address {
                low = middle;
            } else {
                high = middle;
            }
        }
        let (start, bytes) = entry(low)?;
        let function = header.entry(&bytes).1;
        let mut offset = [0; 4];
        let place = header.name_place(function)?;
        self.image
            .reader
            .read("the function table", place, &mut offset)?;
        let name = header.name(&self.image, u32::from_le_bytes(offset).into())?;
        let end = entry(low + 1)?.0;
        // A name is worth having where the lines are damaged.
        let line = lines::line(&self.image, header, function, start, address);
        Ok(Some(CodeLocation {
            function: FunctionRange {
                name,
                address: start,
                end,
            },
            line: line.unwrap_or_default(),
        }))
    }
}

/// Bytes of the table; for 1.17 as the loader leaves them.
fn table_bytes(
    image: &ElfFile<'_>,
    header: &Header,
    at: u64,
    size: u64,
) -> Result<Vec<u8>, InspectError> {
    let what = "the function table";
    if at > header.range.size || size > header.range.size - at {
        return Err(InspectError::Truncated {
            what,
            at: header.range.address,
            need: size,
        });
    }
    let mut bytes = image
        .reader
        .bytes(what, header.range.offset + at, size, size)?;
    if header.magic == MAGIC_116 && size >= 8 {
        image.load_pointers(header.range.address + at, &mut bytes, &[0])?;
    }
    Ok(bytes)
}

pub(super) fn collect(
    image: &ElfFile<'_>,
    header: &Header,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<FunctionCode>, InspectError> {
    let what = "a function's instructions";
    let mut total = 0;
    let mut functions = Vec::new();
    for symbol in symbols(image, header, wanted)? {
        let Some(code) = image.code(symbol.address) else {
            let value = symbol.address;
            return Err(InspectError::Malformed {
                what: "a function's address",
                value,
            });
        };
        let size = (symbol.end - symbol.address)
            .min(MAX_CODE_BYTES)
            .min(code.size);
        total += size;
        if total > MAX_ALL_CODE_BYTES {
            let limit = MAX_ALL_CODE_BYTES;
            return Err(InspectError::TooLarge {
                what,
                value: total,
                limit,
            });
        }
        let code = image
            .reader
            .bytes(what, code.offset, size, MAX_CODE_BYTES)?;
        functions.push(FunctionCode {
            name: symbol.name,
            address: symbol.address,
            code,
        });
    }
    Ok(functions)
}

fn symbols(
    image: &ElfFile<'_>,
    header: &Header,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<FunctionRange>, InspectError> {
    let names = wanted_names(image, header, wanted)?;
    let mut symbols: Vec<FunctionRange> = Vec::new();
    if names.is_empty() {
        return Ok(symbols);
    }
    let end = header.range.offset + header.range.size;
    let mut records = Window::new(&image.reader, "the function table", end, STEP);
    let per_chunk = CHUNK as u64 / header.entry_size();
    let (mut last, mut open) = (0, false);
    let mut index = 0;
    while index <= header.functions {
        let count = per_chunk.min(header.functions + 1 - index);
        let mut size = count * header.entry_size();
        if index + count > header.functions {
            size -= header.entry_size() / 2;
        }
        let at = header.pcln + index * header.entry_size();
        let bytes = table_bytes(image, header, at, size)?;
        for entry in bytes.chunks(header.entry_size() as usize) {
            let pc = header.text_start.wrapping_add(header.pc(entry));
            if pc < last {
                return Err(InspectError::Malformed {
                    what: "a function's address",
                    value: pc,
                });
            }
            last = pc;
            if std::mem::take(&mut open)
                && let Some(symbol) = symbols.last_mut()
            {
                symbol.end = pc;
            }
            if entry.len() < header.entry_size() as usize {
                break;
            }
            let place = header.name_place(header.entry(entry).1)?;
            let mut offset = [0; 4];
            offset.copy_from_slice(records.get(place, 4)?);
            if let Some(name) = names.get(&u32::from_le_bytes(offset)) {
                let limit = MAX_COLLECTED as u64;
                if symbols.len() == MAX_COLLECTED {
                    let what = "the number of functions of the wanted names";
                    return Err(InspectError::TooLarge {
                        what,
                        value: limit + 1,
                        limit,
                    });
                }
                symbols.push(FunctionRange {
                    name: name.clone(),
                    address: pc,
                    end: pc,
                });
                open = true;
            }
        }
        index += count;
    }
    Ok(symbols)
}

/// The wanted names, by their offsets in the name table.
fn wanted_names(
    image: &ElfFile<'_>,
    header: &Header,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<HashMap<u32, String>, InspectError> {
    let mut names = HashMap::new();
    let total = header.names_end - header.names;
    let start = header.range.offset + header.names;
    let mut done = 0;
    let mut buffer = vec![0; total.min(CHUNK as u64) as usize];
    while done < total {
        let size = (total - done).min(CHUNK as u64);
        let piece = &mut buffer[..size as usize];
        image
            .reader
            .read("the function names", start + done, piece)?;
        let mut at = 0;
        for end in memchr::memchr_iter(0, piece) {
            if let Ok(name) = std::str::from_utf8(&piece[at..end])
                && !name.is_empty()
                && wanted(name)
            {
                let limit = MAX_COLLECTED as u64;
                if names.len() == MAX_COLLECTED {
                    let what = "the number of wanted names";
                    return Err(InspectError::TooLarge {
                        what,
                        value: limit + 1,
                        limit,
                    });
                }
                names.insert((done + at as u64) as u32, name.to_owned());
            }
            at = end + 1;
        }
        if done + size == total {
            break;
        }
        // The name that the piece cuts is read again, whole.
        if at == 0 || piece.len() - at > MAX_NAME_BYTES {
            let what = "a function's name";
            return Err(InspectError::Malformed {
                what,
                value: done + at as u64,
            });
        }
        done += at as u64;
    }
    Ok(names)
}
