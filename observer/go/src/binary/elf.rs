//! The ELF file: segments, sections, addresses.

use object::{
    LittleEndian as LE,
    elf::{
        DF_1_PIE, DT_FLAGS_1, DT_RELA, DT_RELASZ, Dyn64, EM_AARCH64, EM_X86_64, ET_DYN, ET_EXEC,
        FileHeader64, PF_W, PF_X, PT_DYNAMIC, PT_INTERP, PT_LOAD, PT_NOTE, ProgramHeader64,
        SHF_COMPRESSED, SHT_NOBITS, SHT_SYMTAB, SectionHeader64,
    },
    pod,
};

pub(super) use super::elf_parts::{Range, Section, Segment};
use super::{
    error::{InspectError, NotGoReason},
    file_reader::{FileReader, u64_at},
    relocations::Relocations,
};
use crate::release::Arch;

/// The kernel refuses programs with more program headers than 64 KiB hold.
const MAX_PROGRAM_HEADERS: u64 = 65536 / 56;
/// Section headers and their names, each.
const MAX_SECTION_TABLE_BYTES: u64 = 1 << 20;
/// Dynamic table.
const MAX_DYNAMIC_BYTES: u64 = 64 << 10;

/// An ELF executable or shared object of a known instruction set.
pub(super) struct ElfFile<'s> {
    pub(super) reader: FileReader<'s>,
    pub(super) arch: Arch,
    /// `ET_DYN`: loaded anywhere.
    pub(super) dynamic: bool,
    /// It asks for an interpreter or says `DF_1_PIE`: it is run, not loaded by another.
    pub(super) runnable: bool,
    /// The name of the dynamic linker, where it asks for one.
    pub(super) interpreter: Option<Range>,
    pub(super) segments: Vec<Segment>,
    pub(super) notes: Vec<(Range, u64)>,
    pub(super) sections: Vec<Section>,
    pub(super) has_symbols: bool,
    /// The symbols and their names, in the file.
    pub(super) symbols: Option<(Range, Range)>,
    pub(super) entry: u64,
    relocations: Option<Relocations>,
}

impl<'s> ElfFile<'s> {
    /// Reads the headers; `Ok(Err(..))` is a file that cannot be a Go program.
    pub(super) fn open(reader: FileReader<'s>) -> Result<Result<Self, NotGoReason>, InspectError> {
        const SIZE: u64 = size_of::<FileHeader64<LE>>() as u64;
        let mut ident = [0; 20];
        if reader.size() < 4 {
            return Ok(Err(NotGoReason::NotElf));
        }
        reader.read("the ELF magic", 0, &mut ident[..4])?;
        if ident[..4] != object::elf::ELFMAG {
            return Ok(Err(NotGoReason::NotElf));
        }
        reader.read("the ELF header", 0, &mut ident)?;
        if ident[4] != 2 {
            return Ok(Err(NotGoReason::Elf32));
        }
        if ident[5] != 1 {
            return Ok(Err(NotGoReason::BigEndian));
        }
        let bytes = reader.bytes("the ELF header", 0, SIZE, SIZE)?;
        let header = records::<FileHeader64<LE>>("the ELF header", &bytes)?[0];
        let arch = match header.e_machine.get(LE) {
            EM_X86_64 => Arch::Amd64,
            EM_AARCH64 => Arch::Arm64,
            other => return Ok(Err(NotGoReason::Machine(other.0))),
        };
        let kind = header.e_type.get(LE);
        if kind != ET_EXEC && kind != ET_DYN {
            return Ok(Err(NotGoReason::NotExecutable(kind.0)));
        }
        let mut image = Self {
            reader,
            arch,
            dynamic: kind == ET_DYN,
            runnable: kind == ET_EXEC,
            interpreter: None,
            segments: Vec::new(),
            notes: Vec::new(),
            sections: Vec::new(),
            has_symbols: false,
            symbols: None,
            entry: header.e_entry.get(LE),
            relocations: None,
        };
        image.read_segments(&header)?;
        // The kernel runs a file whose section headers are gone or nonsense,
        // so they are a help where they can be read and nothing more.
        match image.read_sections(&header) {
            Ok(()) => {}
            Err(error @ (InspectError::Io { .. } | InspectError::WorkExceeded { .. })) => {
                return Err(error);
            }
            Err(_) => image.sections.clear(),
        }
        Ok(Ok(image))
    }

    fn read_segments(&mut self, header: &FileHeader64<LE>) -> Result<(), InspectError> {
        let what = "the program header table";
        let count = u64::from(header.e_phnum.get(LE));
        if count > MAX_PROGRAM_HEADERS {
            let limit = MAX_PROGRAM_HEADERS;
            return Err(InspectError::TooLarge {
                what,
                value: count,
                limit,
            });
        }
        let entry = header.e_phentsize.get(LE);
        if count > 0 && usize::from(entry) != size_of::<ProgramHeader64<LE>>() {
            return Err(InspectError::Malformed {
                what: "the program header size",
                value: entry.into(),
            });
        }
        let size = count * u64::from(entry);
        let bytes = self
            .reader
            .bytes(what, header.e_phoff.get(LE), size, size)?;
        let mut dynamic = None;
        for segment in records::<ProgramHeader64<LE>>(what, &bytes)? {
            let range = Range {
                address: segment.p_vaddr.get(LE),
                offset: segment.p_offset.get(LE),
                size: segment.p_filesz.get(LE),
            };
            let flags = segment.p_flags.get(LE).0;
            let kind = segment.p_type.get(LE);
            if kind == PT_INTERP {
                self.runnable = true;
                self.interpreter = Some(range);
            } else if kind == PT_LOAD || kind == PT_NOTE || kind == PT_DYNAMIC {
                self.check("a segment", range)?;
                if kind == PT_LOAD {
                    self.segments.push(Segment {
                        range,
                        memory: segment.p_memsz.get(LE),
                        writable: flags & PF_W.0 != 0,
                        executable: flags & PF_X.0 != 0,
                    });
                } else if kind == PT_NOTE {
                    self.notes.push((range, segment.p_align.get(LE)));
                } else {
                    dynamic = Some(range);
                }
            }
        }
        if let Some(range) = dynamic {
            self.read_dynamic(range)?;
        }
        Ok(())
    }

    fn check(&self, what: &'static str, range: Range) -> Result<(), InspectError> {
        let in_file = range
            .offset
            .checked_add(range.size)
            .is_some_and(|e| e <= self.reader.size());
        if !in_file || range.address.checked_add(range.size).is_none() {
            return Err(InspectError::Truncated {
                what,
                at: range.offset,
                need: range.size,
            });
        }
        Ok(())
    }

    fn read_dynamic(&mut self, range: Range) -> Result<(), InspectError> {
        let what = "the dynamic table";
        let bytes = self
            .reader
            .bytes(what, range.offset, range.size, MAX_DYNAMIC_BYTES)?;
        let (mut rela, mut rela_size) = (None, 0);
        for entry in records::<Dyn64<LE>>(what, &bytes)? {
            let (tag, value) = (entry.d_tag.get(LE), entry.d_val.get(LE));
            if tag.0 == 0 {
                break;
            } else if tag == DT_RELA {
                rela = Some(value);
            } else if tag == DT_RELASZ {
                rela_size = value;
            } else if tag == DT_FLAGS_1 && value & DF_1_PIE.0 != 0 {
                self.runnable = true;
            }
        }
        self.relocations = rela.and_then(|address| self.loaded(address)).map(|range| {
            let size = range.size.min(rela_size);
            Relocations::new(Range { size, ..range }, self.arch)
        });
        Ok(())
    }

    fn read_sections(&mut self, header: &FileHeader64<LE>) -> Result<(), InspectError> {
        let what = "the section header table";
        let count = u64::from(header.e_shnum.get(LE));
        let entry = header.e_shentsize.get(LE);
        if count == 0 || usize::from(entry) != size_of::<SectionHeader64<LE>>() {
            return Ok(());
        }
        let offset = header.e_shoff.get(LE);
        let bytes = self.reader.bytes(
            what,
            offset,
            count * u64::from(entry),
            MAX_SECTION_TABLE_BYTES * 4,
        )?;
        let headers = records::<SectionHeader64<LE>>(what, &bytes)?;
        let Some(names) = headers.get(usize::from(header.e_shstrndx.get(LE).0)) else {
            return Ok(());
        };
        let names = self.reader.bytes(
            "the section names",
            names.sh_offset.get(LE),
            names.sh_size.get(LE),
            MAX_SECTION_TABLE_BYTES,
        )?;
        for section in headers {
            let kind = section.sh_type.get(LE);
            self.has_symbols |= kind == SHT_SYMTAB;
            let range = in_file(section);
            if kind == SHT_SYMTAB {
                let names = headers.get(section.sh_link.get(LE) as usize);
                self.symbols = names.map(|names| (range, in_file(names)));
            }
            let name = names
                .get(section.sh_name.get(LE) as usize..)
                .unwrap_or_default();
            let name = &name[..memchr::memchr(0, &name[..name.len().min(64)]).unwrap_or(0)];
            if kind != SHT_NOBITS && !name.is_empty() && self.check("a section", range).is_ok() {
                let name = String::from_utf8_lossy(name).into_owned();
                let compressed = section.sh_flags.get(LE).0 & SHF_COMPRESSED.0 != 0;
                self.sections.push(Section {
                    name,
                    range,
                    compressed,
                });
            }
        }
        Ok(())
    }

    /// The section of that name.
    pub(super) fn section(&self, name: &str) -> Option<Range> {
        self.sections
            .iter()
            .find(|section| section.name == name)
            .map(|section| section.range)
    }

    /// What is loaded from `address` to the end of its segment's bytes.
    pub(super) fn loaded(&self, address: u64) -> Option<Range> {
        self.segments
            .iter()
            .find_map(|segment| segment.range.from(address))
    }

    /// Whether `address` has a place in memory, be it without bytes in the file.
    pub(super) fn maps(&self, address: u64) -> bool {
        self.segments.iter().any(|segment| {
            let offset = address.checked_sub(segment.range.address);
            offset.is_some_and(|offset| offset < segment.memory)
        })
    }

    /// What is loaded from `address` on, where it is code.
    pub(super) fn code(&self, address: u64) -> Option<Range> {
        let mut code = self.segments.iter().filter(|segment| segment.executable);
        code.find_map(|segment| segment.range.from(address))
    }

    /// Reads `size` bytes (at most `limit`) at an address.
    pub(super) fn bytes(
        &self,
        what: &'static str,
        address: u64,
        size: u64,
        limit: u64,
    ) -> Result<Vec<u8>, InspectError> {
        match self.loaded(address) {
            Some(range) if range.size >= size => self.reader.bytes(what, range.offset, size, limit),
            _ => Err(InspectError::Truncated {
                what,
                at: address,
                need: size,
            }),
        }
    }

    /// Reads as [`Self::bytes`] and puts in what the loader would put in.
    pub(super) fn relocated(
        &self,
        what: &'static str,
        address: u64,
        size: u64,
        limit: u64,
    ) -> Result<Vec<u8>, InspectError> {
        let mut bytes = self.bytes(what, address, size, limit)?;
        self.relocate(address, &mut bytes)?;
        Ok(bytes)
    }

    /// Puts into bytes of the file what the loader would put there.
    fn relocate(&self, address: u64, bytes: &mut [u8]) -> Result<(), InspectError> {
        let Some(relocations) = &self.relocations else {
            return Ok(());
        };
        let size = bytes.len() as u64;
        relocations.within(&self.reader, address, size, &mut |place, value| {
            let at = (place - address) as usize;
            if let Some(word) = bytes.get_mut(at..at.saturating_add(8)) {
                word.copy_from_slice(&value.to_le_bytes());
            }
        })
    }

    /// The same, where it is not in the file already. The bytes have pointers at each of
    /// these places.
    pub(super) fn load_pointers(
        &self,
        address: u64,
        bytes: &mut [u8],
        at: &[usize],
    ) -> Result<(), InspectError> {
        for &at in at {
            if self.may_be_relocated(u64_at(bytes, at))? {
                return self.relocate(address, bytes);
            }
        }
        Ok(())
    }

    /// The word at an address, as the loader leaves it.
    pub(super) fn word(&self, what: &'static str, address: u64) -> Result<u64, InspectError> {
        let mut bytes = self.bytes(what, address, 8, 8)?;
        self.load_pointers(address, &mut bytes, &[0])?;
        Ok(u64_at(&bytes, 0))
    }

    /// Whether the loader may put another pointer where the file has this word. Go's linker
    /// stores the value in place too, and so does GNU ld on x86-64. On arm64 GNU ld leaves
    /// what the object files had there. lld leaves zero.
    fn may_be_relocated(&self, word: u64) -> Result<bool, InspectError> {
        let Some(relocations) = &self.relocations else {
            return Ok(false);
        };
        if word == 0 {
            return Ok(true);
        }
        let word_at = |place| {
            let bytes = self.bytes("a pointer", place, 8, 8);
            bytes.map(|bytes| u64_at(&bytes, 0)).ok()
        };
        Ok(!relocations.are_in_place(&self.reader, &word_at)?)
    }

    /// Calls `visit` with the place and value of each relative relocation.
    pub(super) fn each_relocation(
        &self,
        visit: &mut dyn FnMut(u64, u64),
    ) -> Result<(), InspectError> {
        match &self.relocations {
            Some(relocations) => relocations.each(&self.reader, visit),
            None => Ok(()),
        }
    }
}

fn in_file(section: &SectionHeader64<LE>) -> Range {
    Range {
        address: section.sh_addr.get(LE),
        offset: section.sh_offset.get(LE),
        size: section.sh_size.get(LE),
    }
}

fn records<'d, T: pod::Pod>(what: &'static str, bytes: &'d [u8]) -> Result<&'d [T], InspectError> {
    pod::slice_from_bytes(bytes, bytes.len() / size_of::<T>())
        .map(|(records, _)| records)
        .map_err(|()| InspectError::Malformed {
            what,
            value: bytes.len() as u64,
        })
}
