//! The kernel's description of its own types (BTF), as far as it is asked for.
//! <https://docs.kernel.org/bpf/btf.html>
//!
//! aya-obj parses the same bytes when the programs are loaded, but lets nobody see a
//! structure's members. btf-rs does, but is under the LGPL, and would be linked statically.

const MAGIC: u16 = 0xeb9f;
const HEADER_LEN: usize = 24;
const TYPE_LEN: usize = 12;
const MEMBER_LEN: usize = 12;
const ENUMERATOR_LEN: usize = 8;
/// Anonymous structures are nested in one another only a few deep.
const MAX_DEPTH: u32 = 8;

const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUMERATION: u32 = 6;

/// The types of one BTF, by id.
pub(super) struct Types<'a> {
    bytes: &'a [u8],
    strings: &'a [u8],
    /// Where each type begins in `bytes`; the type with id 1 is the first.
    starts: Vec<u32>,
}

impl<'a> Types<'a> {
    pub(super) fn parse(btf: &'a [u8]) -> Result<Self, String> {
        let magic = btf
            .get(..2)
            .map(|bytes| u16::from_ne_bytes([bytes[0], bytes[1]]));
        if magic != Some(MAGIC) || btf.len() < HEADER_LEN {
            return Err(format!("no BTF header ({} bytes)", btf.len()));
        }
        let header = |at| {
            word(btf, at)
                .map(|value| value as usize)
                .unwrap_or_default()
        };
        let section = |offset: usize, len: usize, name: &str| {
            let start = header(4).checked_add(offset);
            let end = start.and_then(|start| start.checked_add(len));
            start
                .zip(end)
                .and_then(|(start, end)| btf.get(start..end))
                .ok_or_else(|| format!("its {name} section ends after the file"))
        };
        let bytes = section(header(8), header(12), "type")?;
        let strings = section(header(16), header(20), "string")?;
        let mut starts = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let info = word(bytes, at + 4).ok_or("a type is cut off")?;
            starts.push(at as u32);
            at += TYPE_LEN
                + extra_len(info).ok_or_else(|| format!("type of unknown kind {info:#x}"))?;
        }
        Ok(Self {
            bytes,
            strings,
            starts,
        })
    }

    /// The structure of this name; where there are several, the first.
    pub(super) fn structure(&self, name: &str) -> Option<usize> {
        self.named(STRUCT, name)
    }

    fn named(&self, wanted: u32, name: &str) -> Option<usize> {
        self.starts.iter().map(|&at| at as usize).find(|&at| {
            let kind = word(self.bytes, at + 4).map(kind);
            kind == Some(wanted) && self.is_named(at, name)
        })
    }

    /// Size in bytes of a structure.
    pub(super) fn size(&self, structure: &str) -> Option<u64> {
        word(self.bytes, self.structure(structure)? + 8).map(u64::from)
    }

    /// The value of an enumeration's name.
    pub(super) fn enumerator(&self, enumeration: &str, name: &str) -> Option<u64> {
        let at = self.named(ENUMERATION, enumeration)?;
        let info = word(self.bytes, at + 4)?;
        (0..(info & 0xffff) as usize)
            .map(|index| at + TYPE_LEN + index * ENUMERATOR_LEN)
            .find(|&at| self.is_named(at, name))
            .and_then(|at| word(self.bytes, at + 4))
            .map(u64::from)
    }

    /// Offset in bytes of a structure's member.
    pub(super) fn offset(&self, structure: &str, name: &str) -> Option<u64> {
        self.member(self.structure(structure)?, name)
    }

    /// Offset in bytes of a member, also where it stands in an anonymous
    /// structure, as with randomized layouts.
    pub(super) fn member(&self, structure: usize, name: &str) -> Option<u64> {
        self.member_below(structure, name, 0)
    }

    fn member_below(&self, structure: usize, name: &str, depth: u32) -> Option<u64> {
        let info = word(self.bytes, structure + 4)?;
        if !matches!(kind(info), STRUCT | UNION) || depth > MAX_DEPTH {
            return None;
        }
        for index in 0..(info & 0xffff) as usize {
            let at = structure + TYPE_LEN + index * MEMBER_LEN;
            let bits = word(self.bytes, at + 8)?;
            // With the kind flag the upper byte is a bit field's size.
            let bits = if info >> 31 == 1 {
                bits & 0x00ff_ffff
            } else {
                bits
            };
            let offset = u64::from(bits / 8);
            if self.is_named(at, name) {
                return Some(offset);
            }
            if word(self.bytes, at)? == 0 {
                let id = word(self.bytes, at + 4)? as usize;
                let inner = id.checked_sub(1).and_then(|index| self.starts.get(index));
                if let Some(inner) =
                    inner.and_then(|&at| self.member_below(at as usize, name, depth + 1))
                {
                    return Some(offset + inner);
                }
            }
        }
        None
    }

    /// Whether what begins at `at`, with the offset of its name, is named so.
    fn is_named(&self, at: usize, name: &str) -> bool {
        word(self.bytes, at)
            .and_then(|offset| self.strings.get(offset as usize..))
            .and_then(|rest| rest.strip_prefix(name.as_bytes()))
            .is_some_and(|rest| rest.first() == Some(&0))
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

const fn kind(info: u32) -> u32 {
    info >> 24 & 0x1f
}

/// How many bytes follow a type's first twelve.
const fn extra_len(info: u32) -> Option<usize> {
    let entries = (info & 0xffff) as usize;
    Some(match kind(info) {
        // Pointer, forward, typedef, volatile, const, restrict, function, float, type tag.
        2 | 7..=12 | 16 | 18 => 0,
        // Integer, variable, declaration tag.
        1 | 14 | 17 => 4,
        // Array.
        3 => 12,
        // Structure, union, data section, 64-bit enumeration.
        STRUCT | UNION | 15 | 19 => 12 * entries,
        // Enumeration, function prototype.
        ENUMERATION | 13 => ENUMERATOR_LEN * entries,
        _ => return None,
    })
}

/// A BTF of these types with these strings.
#[cfg(test)]
pub(super) fn built(types: &[u32], strings: &str) -> Vec<u8> {
    let types: Vec<u8> = types.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let mut bytes = MAGIC.to_ne_bytes().to_vec();
    bytes.extend([1, 0]);
    for word in [24, 0, types.len(), types.len(), strings.len()] {
        bytes.extend((word as u32).to_ne_bytes());
    }
    bytes.extend(types);
    bytes.extend(strings.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::{Types, built};

    #[test]
    fn finds_enumerators_and_sizes() {
        let strings = "\0upid\0pid_type\0PIDTYPE_PID\0PIDTYPE_TGID\0";
        let name = |text: &str| {
            let place = strings.find(&format!("\0{text}\0"));
            place.expect("a name of the table") as u32 + 1
        };
        let types = [
            name("upid"),
            4 << 24,
            16,
            name("pid_type"),
            6 << 24 | 2,
            4,
            name("PIDTYPE_PID"),
            0,
            name("PIDTYPE_TGID"),
            1,
        ];
        let btf = built(&types, strings);
        let types = Types::parse(&btf).expect("a whole BTF");
        assert_eq!(types.size("upid"), Some(16));
        assert_eq!(types.enumerator("pid_type", "PIDTYPE_TGID"), Some(1));
        assert_eq!(types.enumerator("pid_type", "PIDTYPE_SID"), None);
        assert_eq!(types.enumerator("upid", "PIDTYPE_PID"), None);
    }
}
