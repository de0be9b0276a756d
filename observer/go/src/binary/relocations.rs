//! What the loader writes into a position-independent file: relative relocations.

use std::cell::OnceCell;

use object::elf::{R_AARCH64_RELATIVE, R_X86_64_RELATIVE};

use super::{
    elf_parts::Range,
    error::InspectError,
    file_reader::{CHUNK, FileReader, u64_at},
};
use crate::release::Arch;

const WHAT: &str = "the relocations";
/// Bytes of one: its place, its type and its value.
const RECORD: u64 = 24;
/// So many from all of the file tell whether values are in place too. Where they need not be,
/// they are in some parts by chance, up to a third of the file.
const SAMPLE: u64 = 64;

/// The relocations that a file's dynamic table tells of.
#[derive(Debug)]
pub(super) struct Relocations {
    range: Range,
    relative: u64,
    /// How many are relative, where those come first and in the order of their places, as
    /// GNU ld and lld write them. Go's linker does not.
    ordered: OnceCell<Option<u64>>,
    in_place: OnceCell<bool>,
}

impl Relocations {
    pub(super) fn new(range: Range, arch: Arch) -> Self {
        let relative = match arch {
            Arch::Amd64 => R_X86_64_RELATIVE.0,
            Arch::Arm64 => R_AARCH64_RELATIVE.0,
        };
        Self {
            range,
            relative: relative.into(),
            ordered: OnceCell::new(),
            in_place: OnceCell::new(),
        }
    }

    /// Calls `visit` with the place and value of each.
    pub(super) fn each(
        &self,
        reader: &FileReader<'_>,
        visit: &mut dyn FnMut(u64, u64),
    ) -> Result<(), InspectError> {
        self.records(reader, &mut |is_relative, place, value| {
            if is_relative {
                visit(place, value);
            }
        })
    }

    /// The same for those whose words begin within a part of memory.
    pub(super) fn within(
        &self,
        reader: &FileReader<'_>,
        address: u64,
        size: u64,
        visit: &mut dyn FnMut(u64, u64),
    ) -> Result<(), InspectError> {
        let Some(count) = self.ordered(reader)? else {
            return self.each(reader, &mut |place, value| {
                if place >= address && place - address < size {
                    visit(place, value);
                }
            });
        };
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low.midpoint(high);
            let (_, place, _) = self.record(reader, middle)?;
            if place < address {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        for index in low..count {
            let (_, place, value) = self.record(reader, index)?;
            // Also where the file has changed meanwhile.
            match place.checked_sub(address) {
                Some(at) if at < size => visit(place, value),
                _ => break,
            }
        }
        Ok(())
    }

    /// Whether the file has the values in place, too.
    pub(super) fn are_in_place(
        &self,
        reader: &FileReader<'_>,
        word_at: &dyn Fn(u64) -> Option<u64>,
    ) -> Result<bool, InspectError> {
        if let Some(known) = self.in_place.get() {
            return Ok(*known);
        }
        let count = self.range.size / RECORD;
        let mut in_place = true;
        for index in (0..count).step_by(count.div_ceil(SAMPLE).max(1) as usize) {
            let (info, place, value) = self.record(reader, index)?;
            in_place &= info != self.relative || word_at(place) == Some(value);
        }
        Ok(*self.in_place.get_or_init(|| in_place))
    }

    fn ordered(&self, reader: &FileReader<'_>) -> Result<Option<u64>, InspectError> {
        if let Some(known) = self.ordered.get() {
            return Ok(*known);
        }
        let (mut first, mut last, mut others, mut in_order) = (0, 0, false, true);
        self.records(reader, &mut |is_relative, place, _| {
            if !is_relative {
                others = true;
                return;
            }
            in_order &= !others && place >= last;
            first += 1;
            last = place;
        })?;
        Ok(*self.ordered.get_or_init(|| in_order.then_some(first)))
    }

    /// The type, the place and the value of one.
    fn record(&self, reader: &FileReader<'_>, index: u64) -> Result<(u64, u64, u64), InspectError> {
        let mut bytes = [0; RECORD as usize];
        reader.read(WHAT, self.range.offset + index * RECORD, &mut bytes)?;
        Ok((u64_at(&bytes, 8), u64_at(&bytes, 0), u64_at(&bytes, 16)))
    }

    fn records(
        &self,
        reader: &FileReader<'_>,
        visit: &mut dyn FnMut(bool, u64, u64),
    ) -> Result<(), InspectError> {
        let mut range = self.range;
        while range.size >= RECORD {
            let size = (CHUNK as u64).min(range.size) / RECORD * RECORD;
            let bytes = reader.bytes(WHAT, range.offset, size, size)?;
            for record in bytes.as_chunks::<{ RECORD as usize }>().0 {
                let is_relative = u64_at(record, 8) == self.relative;
                visit(is_relative, u64_at(record, 0), u64_at(record, 16));
            }
            range.offset += size;
            range.size -= size;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

    use super::{RECORD, Range, Relocations};
    use crate::{binary::file_reader::FileReader, release::Arch};

    const RELATIVE: u64 = 1027;
    const OTHER: u64 = 1025;

    fn found(records: &[(u64, u64, u64)], address: u64, size: u64) -> (bool, Vec<(u64, u64)>) {
        let words = records.iter().flat_map(|it| [it.0, it.1, it.2]);
        let file: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        let reader = FileReader::memory(&file);
        let range = Range {
            address: 0,
            offset: 0,
            size: records.len() as u64 * RECORD,
        };
        let relocations = Relocations::new(range, Arch::Arm64);
        let mut found = Vec::new();
        relocations
            .within(&reader, address, size, &mut |place, value| {
                found.push((place, value));
            })
            .unwrap();
        found.sort_unstable();
        (relocations.ordered(&reader).unwrap().is_some(), found)
    }

    #[test]
    fn those_in_order_and_those_in_none_are_found_alike() {
        let mut records: Vec<_> = (0..100).map(|n| (0x1000 + 8 * n, RELATIVE, n)).collect();
        records.push((0x1008, OTHER, 7));
        let expected = vec![(0x1010, 2), (0x1018, 3)];
        assert_eq!(found(&records, 0x1010, 16), (true, expected.clone()));
        assert_eq!(found(&records, 0x100c, 16).1, expected);
        assert_eq!(found(&records, 0x2000, 16), (true, vec![]));
        assert_eq!(found(&records, 0, 8), (true, vec![]));
        records.swap(3, 70);
        assert_eq!(found(&records, 0x1010, 16), (false, expected.clone()));
        records.swap(3, 70);
        records.swap(0, 100);
        assert_eq!(found(&records, 0x1010, 16), (false, expected));
    }

    #[test]
    fn values_are_in_place_where_all_of_a_sample_are() {
        let words = [0x10, RELATIVE, 7, 0x18, OTHER, 1, 0x20, RELATIVE, 9];
        let file: Vec<u8> = words
            .iter()
            .flat_map(|word: &u64| word.to_le_bytes())
            .collect();
        let reader = FileReader::memory(&file);
        let range = Range {
            address: 0,
            offset: 0,
            size: 3 * RECORD,
        };
        for (second, expected) in [(Some(9), true), (Some(8), false), (None, false)] {
            let word_at = |place| if place == 0x10 { Some(7) } else { second };
            let relocations = Relocations::new(range, Arch::Arm64);
            let told = relocations.are_in_place(&reader, &word_at).unwrap();
            assert_eq!(told, expected, "{second:?}");
        }
    }

    #[test]
    fn a_file_without_any_has_none() {
        assert_eq!(found(&[], 0, 8), (true, vec![]));
    }
}
