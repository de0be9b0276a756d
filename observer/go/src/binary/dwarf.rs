//! What a binary's own debug information says of the runtime's types: the only
//! witness of where fields lie in a release that nobody has looked at yet.
//!
//! Only the entries directly below each compilation unit are read, and of the
//! types only those that are wanted.

use std::collections::{HashMap, HashSet};

use super::{elf::ElfFile, error::InspectError, sections::Sections};
use crate::release::{DwarfTypes, Field};
use gimli::{
    Abbreviations, AttributeValue, DebugAbbrev, DebugAbbrevOffset, DebugInfo, DebugInfoOffset,
    DebugLineStr, DebugStr, DwAt, DwTag, EndianSlice, LittleEndian, Reader as _, UnitHeader,
    UnitOffset, constants,
};

/// Most names given to one type.
const MOST_DEPTH: usize = 16;
/// Most members of a struct and most elements of a table that are looked at.
const MOST_ITEMS: usize = 4096;

type Slice<'d> = EndianSlice<'d, LittleEndian>;
type DwarfEntry<'d> = gimli::DebuggingInformationEntry<Slice<'d>>;
type Unit<'d> = UnitHeader<Slice<'d>>;

/// Names that a field of the table has or may have, of a struct of the runtime.
fn names(field: &str) -> Vec<String> {
    let mut names = vec![field.to_owned()];
    if field == "schedt.runqsize" {
        names.push("schedt.runq.size".to_owned());
    }
    if let Some(stat) = field.strip_prefix("cpuStats.") {
        let (first, rest) = stat.split_at(1);
        names.push(format!("cpuStats.{}{rest}", first.to_lowercase()));
    }
    names
}

/// Looks the wanted fields (`schedt.goidgen`) and types (`schedt`) up. `None`
/// where there is no debug information, or none that can be read.
pub(super) fn describe(
    image: &ElfFile<'_>,
    wanted: &[&'static str],
) -> Result<Option<DwarfTypes>, InspectError> {
    let Some(sections) = Sections::open(image)? else {
        return Ok(None);
    };
    let Ok(found) = sections.info().find(wanted) else {
        return Ok(None);
    };
    let (fields, tables) = found;
    let mut described = DwarfTypes {
        fields,
        ..DwarfTypes::default()
    };
    if let Some(table) = &tables.sizes {
        described.size_classes = sizes(image, table)?;
    }
    if let Some(table) = &tables.reasons {
        described.wait_reasons = reasons(image, table)?;
    }
    Ok(Some(described))
}

/// The runtime's table of size classes, as it is in the file.
fn sizes(image: &ElfFile<'_>, table: &Table) -> Result<Vec<u64>, InspectError> {
    let bytes = read(image, table)?;
    let numbers = bytes.as_chunks::<2>().0.iter();
    Ok(numbers
        .map(|two| u64::from(u16::from_le_bytes(*two)))
        .collect())
}

/// The runtime's words for what goroutines wait for.
fn reasons(image: &ElfFile<'_>, table: &Table) -> Result<Vec<String>, InspectError> {
    let bytes = read(image, table)?;
    let mut words = Vec::new();
    for string in bytes.as_chunks::<16>().0 {
        let (address, len) = string.split_at(8);
        let number = |bytes: &[u8]| super::file_reader::u64_at(bytes, 0);
        let text = match number(len) {
            0 => Vec::new(),
            len => image.bytes("a wait reason", number(address), len, 256)?,
        };
        words.push(String::from_utf8_lossy(&text).into_owned());
    }
    Ok(words)
}

fn read(image: &ElfFile<'_>, table: &Table) -> Result<Vec<u8>, InspectError> {
    let limit = 16 * MOST_ITEMS as u64;
    image.relocated("a table of the runtime", table.address, table.size, limit)
}

/// A variable with a fixed address.
struct Table {
    address: u64,
    size: u64,
}

#[derive(Default)]
struct Tables {
    sizes: Option<Table>,
    reasons: Option<Table>,
}

impl Sections {
    fn info(&self) -> Info<'_> {
        Info {
            info: DebugInfo::new(&self.info, LittleEndian),
            abbreviations: DebugAbbrev::new(&self.abbreviations, LittleEndian),
            strings: DebugStr::new(&self.strings, LittleEndian),
            line_strings: DebugLineStr::from(EndianSlice::new(&self.line_strings, LittleEndian)),
            units: Vec::new(),
            known: HashMap::new(),
        }
    }
}

/// The entries and what they refer to.
struct Info<'d> {
    info: DebugInfo<Slice<'d>>,
    abbreviations: DebugAbbrev<Slice<'d>>,
    strings: DebugStr<Slice<'d>>,
    line_strings: DebugLineStr<Slice<'d>>,
    units: Vec<Unit<'d>>,
    known: HashMap<DebugAbbrevOffset, Abbreviations>,
}

/// Leads to an entry.
#[derive(Clone, Copy)]
struct EntryRef {
    /// The unit's number.
    unit: usize,
    /// Where in the unit.
    offset: UnitOffset,
}

impl<'d> Info<'d> {
    fn find(
        mut self,
        wanted: &[&'static str],
    ) -> gimli::Result<(HashMap<&'static str, Field>, Tables)> {
        let mut units = self.info.units();
        while let Some(unit) = units.next()? {
            let at = unit.debug_abbrev_offset();
            if !self.known.contains_key(&at) {
                let abbreviations = self.abbreviations.abbreviations(at)?;
                self.known.insert(at, abbreviations);
            }
            self.units.push(unit);
        }
        let of_struct = |name: &&str| name.split('.').next().map(|name| format!("runtime.{name}"));
        let structs: HashSet<String> = wanted.iter().filter_map(of_struct).collect();
        let (places, tables) = self.places(&structs)?;
        let mut fields = HashMap::new();
        for &name in wanted {
            let field = names(name).into_iter().find_map(|path| {
                let mut path = path.split('.');
                let place = *places.get(&format!("runtime.{}", path.next()?))?;
                self.locate(place, path).ok().flatten()
            });
            if let Some(field) = field {
                fields.insert(name, field);
            }
        }
        Ok((fields, tables))
    }

    /// Where the wanted structs are described, and the runtime's tables lie.
    fn places(
        &self,
        structs: &HashSet<String>,
    ) -> gimli::Result<(HashMap<String, EntryRef>, Tables)> {
        let mut places = HashMap::new();
        let mut tables = Tables::default();
        for (number, unit) in self.units.iter().enumerate() {
            let mut entries = unit.entries(self.abbreviations_of(unit)?);
            while let Some(entry) = entries.next_dfs()? {
                if entry.depth() != 1 {
                    continue;
                }
                match entry.tag() {
                    constants::DW_TAG_structure_type => {
                        let name = self.name(entry);
                        if let Some(name) = name.filter(|name| structs.contains(name.as_ref())) {
                            let place = EntryRef {
                                unit: number,
                                offset: entry.offset(),
                            };
                            places.insert(name.into_owned(), place);
                        }
                    }
                    constants::DW_TAG_variable => match self.name(entry).as_deref() {
                        Some("internal/runtime/gc.SizeClassToSize" | "runtime.class_to_size") => {
                            tables.sizes = self.table(number, entry)?;
                        }
                        Some("runtime.waitReasonStrings") => {
                            tables.reasons = self.table(number, entry)?;
                        }
                        _ => {}
                    },
                    _ => {}
                }
            }
        }
        Ok((places, tables))
    }

    fn abbreviations_of(&self, unit: &Unit<'d>) -> gimli::Result<&Abbreviations> {
        let abbreviations = self.known.get(&unit.debug_abbrev_offset());
        abbreviations.ok_or(gimli::Error::NoEntryAtGivenOffset(0))
    }

    fn name(&self, entry: &DwarfEntry<'d>) -> Option<std::borrow::Cow<'d, str>> {
        let name = match entry.attr_value(constants::DW_AT_name)? {
            AttributeValue::String(name) => name,
            AttributeValue::DebugStrRef(at) => self.strings.get_str(at).ok()?,
            AttributeValue::DebugLineStrRef(at) => self.line_strings.get_str(at).ok()?,
            _ => return None,
        };
        Some(name.to_string_lossy())
    }

    /// A variable's address and its type's size.
    fn table(&self, unit: usize, entry: &DwarfEntry<'d>) -> gimli::Result<Option<Table>> {
        let Some(AttributeValue::Exprloc(location)) = entry.attr_value(constants::DW_AT_location)
        else {
            return Ok(None);
        };
        let mut bytes = location.0;
        if bytes.read_u8()? != constants::DW_OP_addr.0 {
            return Ok(None);
        }
        let address = bytes.read_u64()?;
        let Some(of) = self.referred(unit, entry, constants::DW_AT_type) else {
            return Ok(None);
        };
        let size = self.size(of)?;
        Ok(size.map(|size| Table { address, size }))
    }

    /// The entry that an attribute refers to.
    fn referred(&self, unit: usize, entry: &DwarfEntry<'d>, attribute: DwAt) -> Option<EntryRef> {
        match entry.attr_value(attribute)? {
            AttributeValue::UnitRef(offset) => Some(EntryRef { unit, offset }),
            AttributeValue::DebugInfoRef(at) => {
                let unit = self.unit_at(at)?;
                let offset = at.to_unit_offset(&self.units[unit])?;
                Some(EntryRef { unit, offset })
            }
            _ => None,
        }
    }

    fn unit_at(&self, at: DebugInfoOffset) -> Option<usize> {
        let starts_before = |unit: &Unit<'d>| unit.debug_info_offset().is_some_and(|o| o <= at);
        self.units.partition_point(starts_before).checked_sub(1)
    }

    fn entry(&self, place: EntryRef) -> gimli::Result<DwarfEntry<'d>> {
        let unit = &self.units[place.unit];
        unit.entry(self.abbreviations_of(unit)?, place.offset)
    }

    /// The type behind the names given to it.
    fn plain(&self, mut place: EntryRef) -> gimli::Result<Option<(EntryRef, DwarfEntry<'d>)>> {
        for _ in 0..MOST_DEPTH {
            let entry = self.entry(place)?;
            if entry.tag() != constants::DW_TAG_typedef {
                return Ok(Some((place, entry)));
            }
            let Some(next) = self.referred(place.unit, &entry, constants::DW_AT_type) else {
                return Ok(None);
            };
            place = next;
        }
        Ok(None)
    }

    /// Bytes that a type takes.
    fn size(&self, place: EntryRef) -> gimli::Result<Option<u64>> {
        const POINTERS: [DwTag; 2] = [
            constants::DW_TAG_pointer_type,
            constants::DW_TAG_subroutine_type,
        ];
        let Some((_, entry)) = self.plain(place)? else {
            return Ok(None);
        };
        let size = entry.attr_value(constants::DW_AT_byte_size);
        if let Some(size) = size.and_then(|size| size.udata_value()) {
            return Ok(Some(size));
        }
        let is_pointer = POINTERS.contains(&entry.tag());
        Ok(is_pointer.then_some(8))
    }

    /// A field by its path in a struct; the whole of it for an empty path.
    fn locate<'p>(
        &self,
        start: EntryRef,
        path: impl Iterator<Item = &'p str>,
    ) -> gimli::Result<Option<Field>> {
        let (mut place, mut offset) = (start, 0_u64);
        for name in path {
            let Some((at, member)) = self.member(place, name)? else {
                return Ok(None);
            };
            offset = offset.saturating_add(at);
            place = member;
        }
        let size = self.size(place)?;
        Ok(size.and_then(|size| {
            Some(Field {
                offset: usize::try_from(offset).ok()?,
                size: usize::try_from(size).ok()?,
            })
        }))
    }

    /// A member's offset and type.
    fn member(&self, of: EntryRef, name: &str) -> gimli::Result<Option<(u64, EntryRef)>> {
        let Some((place, entry)) = self.plain(of)? else {
            return Ok(None);
        };
        if entry.tag() != constants::DW_TAG_structure_type {
            return Ok(None);
        }
        let unit = &self.units[place.unit];
        let mut entries = unit.entries_at_offset(self.abbreviations_of(unit)?, place.offset)?;
        // The struct itself.
        entries.next_dfs()?;
        for _ in 0..MOST_ITEMS {
            let Some(member) = entries.next_dfs()? else {
                break;
            };
            if member.depth() <= 0 {
                break;
            }
            if member.depth() != 1
                || member.tag() != constants::DW_TAG_member
                || self.name(member).as_deref() != Some(name)
            {
                continue;
            }
            let at = member.attr_value(constants::DW_AT_data_member_location);
            let at = at.and_then(|at| at.udata_value());
            let of = self.referred(place.unit, member, constants::DW_AT_type);
            return Ok(at.zip(of));
        }
        Ok(None)
    }
}
