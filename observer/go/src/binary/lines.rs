//! Source lines: decoding a function's table of lines by program counter.

use super::{
    elf::ElfFile,
    error::InspectError,
    file_reader::{FileReader, Window},
    pclntab::Header,
};
use crate::release::Arch;

const WHAT: &str = "a function's table of lines";
/// The tables are read this much at a time; most are shorter.
const STEP: usize = 256;
/// Far above what the longest generated function has.
const MAX_STEPS: u32 = 1 << 20;
/// Bytes of the longest number of 32 bits.
const MAX_VARINT: u32 = 5;

/// The line at `address`, which is in the function that begins at `start` and
/// whose `_func` is at `function`; `None` where the table tells none.
pub(super) fn line(
    image: &ElfFile<'_>,
    header: &Header,
    function: u64,
    start: u64,
    address: u64,
) -> Result<Option<u32>, InspectError> {
    let mut offset = [0; 4];
    let place = header.lines_place(function)?;
    image
        .reader
        .read("the function table", place, &mut offset)?;
    let offset = u64::from(u32::from_le_bytes(offset));
    // Functions without lines have no table.
    if offset == 0 {
        return Ok(None);
    }
    if offset >= header.pcln - header.pctab {
        return Err(InspectError::Malformed {
            what: "the offset of a function's table of lines",
            value: offset,
        });
    }
    let tables = header.range.offset + header.pctab;
    let end = header.range.offset + header.pcln;
    let quantum = match image.arch {
        Arch::Amd64 => 1,
        Arch::Arm64 => 4,
    };
    let mut steps = Steps::new(&image.reader, tables + offset, end);
    let value = steps.at(address.saturating_sub(start), quantum)?;
    Ok(value
        .and_then(|line| u32::try_from(line).ok())
        .filter(|line| *line != 0))
}

/// A table of pairs of numbers: how the value changes, and for how many
/// instruction units it then holds.
struct Steps<'r, 's> {
    bytes: Window<'r, 's>,
    next: u64,
}

impl<'r, 's> Steps<'r, 's> {
    fn new(reader: &'r FileReader<'s>, start: u64, end: u64) -> Self {
        Self {
            bytes: Window::new(reader, WHAT, end, STEP),
            next: start,
        }
    }

    /// The value `distance` bytes behind the function's start; `None` behind
    /// the table's end, as in the padding between functions.
    fn at(&mut self, distance: u64, quantum: u64) -> Result<Option<i32>, InspectError> {
        let (mut value, mut reached) = (-1_i32, 0_u64);
        for step in 0..MAX_STEPS {
            let change = self.number()?;
            if change == 0 && step > 0 {
                return Ok(None);
            }
            value = value.wrapping_add((change >> 1) as i32 ^ -((change & 1) as i32));
            let count = self.number()?;
            // Go writes no step over nothing.
            if count == 0 {
                return Err(self.bad());
            }
            reached += u64::from(count) * quantum;
            if distance < reached {
                return Ok(Some(value));
            }
        }
        Err(InspectError::TooLarge {
            what: WHAT,
            value: u64::from(MAX_STEPS) + 1,
            limit: MAX_STEPS.into(),
        })
    }

    /// A number in groups of seven bits, the lowest first.
    fn number(&mut self) -> Result<u32, InspectError> {
        let mut number = 0;
        for group in 0..MAX_VARINT {
            let byte = self.bytes.get(self.next, 1)?[0];
            self.next += 1;
            let bits = u32::from(byte & 0x7f);
            if group == MAX_VARINT - 1 && byte > 0xf {
                break;
            }
            number |= bits << (7 * group);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.bad())
    }

    fn bad(&self) -> InspectError {
        InspectError::Malformed {
            what: WHAT,
            value: self.next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FileReader, InspectError, Steps};

    fn at(table: &[u8], distance: u64, quantum: u64) -> Result<Option<i32>, InspectError> {
        let reader = FileReader::memory(table);
        Steps::new(&reader, 0, table.len() as u64).at(distance, quantum)
    }

    #[test]
    fn values_hold_up_to_the_next_step() {
        // 299 for 2 units, 300 for 130, 297 for 1.
        let table = [0xd8, 0x04, 2, 2, 0x82, 0x01, 5, 1, 0];
        for (distance, value) in [
            (0, Some(299)),
            (1, Some(299)),
            (2, Some(300)),
            (131, Some(300)),
            (132, Some(297)),
            (133, None),
        ] {
            assert_eq!(at(&table, distance, 1).expect("whole"), value);
            assert_eq!(at(&table, 4 * distance + 3, 4).expect("whole"), value);
        }
    }

    #[test]
    fn the_first_change_may_be_none() {
        assert_eq!(at(&[0, 4, 4, 4, 0], 0, 1).expect("whole"), Some(-1));
        assert_eq!(at(&[0, 4, 4, 4, 0], 4, 1).expect("whole"), Some(1));
    }

    #[test]
    fn damage_is_an_error() {
        let malformed = |table: &[u8]| {
            let error = at(table, 9, 1).expect_err("damaged");
            assert!(matches!(error, InspectError::Malformed { .. }), "{error}");
        };
        malformed(&[2, 0, 2, 0]);
        malformed(&[0xff; 16]);
        malformed(&[0x80, 0x80, 0x80, 0x80, 0x10, 1]);
        for table in [&[][..], &[2], &[2, 4, 2], &[0x80]] {
            let error = at(table, 9, 1).expect_err("cut");
            assert!(matches!(error, InspectError::Truncated { .. }), "{error}");
        }
        let endless: Vec<u8> = [2, 1].repeat(super::MAX_STEPS as usize + 1);
        let error = at(&endless, u64::MAX, 4).expect_err("endless");
        assert!(matches!(error, InspectError::TooLarge { .. }), "{error}");
        let extreme = [0xff, 0xff, 0xff, 0xff, 0xf, 0xff, 0xff, 0xff, 0xff, 0xf];
        assert!(at(&extreme.repeat(3), u64::MAX, 4).is_err());
    }
}
