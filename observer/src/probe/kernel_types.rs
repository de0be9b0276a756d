//! Where fields of the kernel's structures lie, from the kernel's own BTF.
//! <https://docs.kernel.org/bpf/btf.html>

/// Where the kernel shows it.
pub(super) const PATH: &str = "/sys/kernel/btf/vmlinux";

const MAGIC: u16 = 0xeb9f;
const HEADER_LEN: usize = 24;
const TYPE_LEN: usize = 12;
const MEMBER_LEN: usize = 12;
/// Anonymous structures are nested in one another only a few deep.
const MAX_DEPTH: u32 = 8;

const STRUCT: u32 = 4;
const UNION: u32 = 5;

/// Offsets that the programs on tracepoints load by; 0 where not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TaskOffsets {
    pub(super) tgid: u64,
    pub(super) pid: u64,
    pub(super) signal: u64,
    pub(super) signal_live: u64,
}

impl TaskOffsets {
    /// Reads them, or says what is wrong with the BTF.
    pub(super) fn read(btf: &[u8]) -> Result<Self, String> {
        let types = Types::parse(btf)?;
        let mut offsets = Self::default();
        if let Some(task) = types.structure("task_struct") {
            let offset = |name| types.member(task, name, 0).unwrap_or(0);
            offsets.tgid = offset("tgid");
            offsets.pid = offset("pid");
            offsets.signal = offset("signal");
        }
        if let Some(signal) = types.structure("signal_struct") {
            offsets.signal_live = types.member(signal, "live", 0).unwrap_or(0);
        }
        Ok(offsets)
    }
}

/// The types of one BTF, by id.
struct Types<'a> {
    bytes: &'a [u8],
    strings: &'a [u8],
    /// Where each type begins in `bytes`; the type with id 1 is the first.
    starts: Vec<u32>,
}

impl<'a> Types<'a> {
    fn parse(btf: &'a [u8]) -> Result<Self, String> {
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
    fn structure(&self, name: &str) -> Option<usize> {
        self.starts.iter().map(|&at| at as usize).find(|&at| {
            let kind = word(self.bytes, at + 4).map(kind);
            kind == Some(STRUCT) && self.is_named(at, name)
        })
    }

    /// Offset in bytes of a member, also where it stands in an anonymous
    /// structure, as with randomized layouts.
    fn member(&self, structure: usize, name: &str, depth: u32) -> Option<u64> {
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
                if let Some(inner) = inner.and_then(|&at| self.member(at as usize, name, depth + 1))
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
        6 | 13 => 8 * entries,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{MAGIC, TaskOffsets};

    /// A BTF of these types with these strings.
    fn btf(types: &[u32], strings: &str) -> Vec<u8> {
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

    #[test]
    fn finds_members_also_in_anonymous_structures() {
        let strings = "\0task_struct\0pid\0tgid\0signal\0signal_struct\0live\0";
        let name = |text: &str| strings.find(&format!("\0{text}\0")).unwrap() as u32 + 1;
        let types = [
            // 1: an integer.
            0,
            1 << 24,
            4,
            32,
            // 2: an anonymous structure of two.
            0,
            4 << 24 | 2,
            8,
            name("tgid"),
            1,
            0,
            name("signal"),
            1,
            32,
            // 3: the task, its anonymous part at byte 64.
            name("task_struct"),
            4 << 24 | 2,
            72,
            name("pid"),
            1,
            64,
            0,
            2,
            512,
            // 4: with the kind flag.
            name("signal_struct"),
            1 << 31 | 4 << 24 | 1,
            8,
            name("live"),
            1,
            32 << 24 | 32,
        ];
        let found = TaskOffsets::read(&btf(&types, strings)).unwrap();
        assert_eq!(
            found,
            TaskOffsets {
                tgid: 64,
                pid: 8,
                signal: 68,
                signal_live: 4
            }
        );
    }

    #[test]
    fn refuses_what_is_cut_off() {
        assert!(TaskOffsets::read(&[]).is_err());
        assert!(TaskOffsets::read(&[0; 64]).is_err());
        let whole = btf(&[0, 1 << 24, 4, 32], "\0");
        assert!(TaskOffsets::read(&whole[..whole.len() - 1]).is_err());
        assert_eq!(TaskOffsets::read(&whole), Ok(TaskOffsets::default()));
        assert!(TaskOffsets::read(&btf(&[0, 31 << 24, 4], "\0")).is_err());
    }
}
