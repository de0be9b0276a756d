//! What the kernel says of its own types in its BTF: where fields of its
//! structures lie, and by which structures it has a feature.
//! <https://docs.kernel.org/bpf/btf.html>
//!
//! aya-obj parses the same bytes when the programs are loaded, but lets nobody see a
//! structure's members. btf-rs does, but is under the LGPL, and would be linked statically.

use observer_ebpf::KernelOffsets;

/// Where the kernel shows it.
pub(super) const PATH: &str = "/sys/kernel/btf/vmlinux";

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

/// What is read from a kernel's BTF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a feature of its own"
)]
pub(super) struct KernelTypes {
    pub(super) offsets: KernelOffsets,
    /// A process's numbers in all pid namespaces can be found.
    pub(super) pid_numbers: bool,
    /// One link for many probes (`uprobe_multi`).
    pub(super) uprobe_multi: bool,
    /// A probe's cookie reaches the program (`bpf_get_attach_cookie`).
    pub(super) attach_cookie: bool,
    /// The verifier may give a program a stack of its own on each CPU.
    pub(super) private_stack: bool,
    /// Hash maps take memory for an entry when it is needed, from an allocator
    /// that any program may call.
    pub(super) bpf_mem_alloc: bool,
}

impl KernelTypes {
    /// Reads them, or says what is wrong with the BTF.
    pub(super) fn read(btf: &[u8]) -> Result<Self, String> {
        let types = Types::parse(btf)?;
        let has = |structure, name| types.offset(structure, name).is_some();
        let offset = |structure, name| types.offset(structure, name).unwrap_or(0);
        let numbers = types.pid_numbers();
        Ok(Self {
            offsets: KernelOffsets {
                task_tgid: offset("task_struct", "tgid"),
                task_pid: offset("task_struct", "pid"),
                task_signal: offset("task_struct", "signal"),
                signal_live: offset("signal_struct", "live"),
                task_real_parent: offset("task_struct", "real_parent"),
                task_cgroups: offset("task_struct", "cgroups"),
                css_set_dfl_cgrp: offset("css_set", "dfl_cgrp"),
                cgroup_kn: offset("cgroup", "kn"),
                kernfs_node_id: offset("kernfs_node", "id"),
                ..numbers.unwrap_or_default()
            },
            pid_numbers: numbers.is_some() && has("task_struct", "signal"),
            uprobe_multi: types.structure("bpf_uprobe_multi_link").is_some(),
            attach_cookie: has("bpf_trace_run_ctx", "bpf_cookie"),
            private_stack: has("bpf_prog_aux", "priv_stack_ptr")
                || has("bpf_prog_aux", "jits_use_priv_stack"),
            bpf_mem_alloc: has("bpf_htab", "ma"),
        })
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
        self.named(STRUCT, name)
    }

    fn named(&self, wanted: u32, name: &str) -> Option<usize> {
        self.starts.iter().map(|&at| at as usize).find(|&at| {
            let kind = word(self.bytes, at + 4).map(kind);
            kind == Some(wanted) && self.is_named(at, name)
        })
    }

    /// Where a process's numbers are found, from its `signal_struct` on.
    fn pid_numbers(&self) -> Option<KernelOffsets> {
        let pids = self.offset("signal_struct", "pids")?;
        let place = self.enumerator("pid_type", "PIDTYPE_TGID")?;
        let namespace = self.offset("pid_namespace", "ns")?;
        Some(KernelOffsets {
            signal_tgid: pids + place * size_of::<u64>() as u64,
            pid_level: self.offset("pid", "level")?,
            pid_numbers: self.offset("pid", "numbers")?,
            upid_size: self.size("upid")?,
            upid_nr: self.offset("upid", "nr")?,
            upid_ns: self.offset("upid", "ns")?,
            namespace_inum: namespace + self.offset("ns_common", "inum")?,
            ..KernelOffsets::default()
        })
    }

    /// Size in bytes of a structure.
    fn size(&self, structure: &str) -> Option<u64> {
        word(self.bytes, self.structure(structure)? + 8).map(u64::from)
    }

    /// The value of an enumeration's name.
    fn enumerator(&self, enumeration: &str, name: &str) -> Option<u64> {
        let at = self.named(ENUMERATION, enumeration)?;
        let info = word(self.bytes, at + 4)?;
        (0..(info & 0xffff) as usize)
            .map(|index| at + TYPE_LEN + index * ENUMERATOR_LEN)
            .find(|&at| self.is_named(at, name))
            .and_then(|at| word(self.bytes, at + 4))
            .map(u64::from)
    }

    /// Offset in bytes of a structure's member.
    fn offset(&self, structure: &str, name: &str) -> Option<u64> {
        self.member(self.structure(structure)?, name, 0)
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
        ENUMERATION | 13 => ENUMERATOR_LEN * entries,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{KernelOffsets, KernelTypes, MAGIC, PATH, Types};

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
        let name = |text: &str| {
            strings
                .find(&format!("\0{text}\0"))
                .expect("a name of the table") as u32
                + 1
        };
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
        let found = KernelTypes::read(&btf(&types, strings)).expect("a whole BTF");
        let offsets = KernelOffsets {
            task_tgid: 64,
            task_pid: 8,
            task_signal: 68,
            signal_live: 4,
            ..KernelOffsets::default()
        };
        assert_eq!(
            found,
            KernelTypes {
                offsets,
                ..KernelTypes::default()
            }
        );
    }

    #[test]
    fn tells_features_by_their_structures() {
        let strings = "\0bpf_uprobe_multi_link\0bpf_trace_run_ctx\0bpf_cookie\0bpf_prog_aux\0\
                       jits_use_priv_stack\0bpf_htab\0ma\0elems\0";
        let name = |text: &str| {
            let at = strings.find(&format!("\0{text}\0"));
            at.expect("a name of the table") as u32 + 1
        };
        let integer = [0, 1 << 24, 4, 32];
        let structure = |of, member| [name(of), 4 << 24 | 1, 8, name(member), 1, 0];
        let read = |types: &[&[u32]]| {
            KernelTypes::read(&btf(&types.concat(), strings)).expect("a whole BTF")
        };
        let none = read(&[&integer, &structure("bpf_htab", "elems")]);
        assert_eq!(none, KernelTypes::default());
        let empty = [name("bpf_uprobe_multi_link"), 4 << 24, 0];
        let all = read(&[
            &integer,
            &empty,
            &structure("bpf_trace_run_ctx", "bpf_cookie"),
            &structure("bpf_prog_aux", "jits_use_priv_stack"),
            &structure("bpf_htab", "ma"),
        ]);
        assert!(all.uprobe_multi && all.attach_cookie && all.private_stack && all.bpf_mem_alloc);
    }

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
        let btf = btf(&types, strings);
        let types = Types::parse(&btf).expect("a whole BTF");
        assert_eq!(types.size("upid"), Some(16));
        assert_eq!(types.enumerator("pid_type", "PIDTYPE_TGID"), Some(1));
        assert_eq!(types.enumerator("pid_type", "PIDTYPE_SID"), None);
        assert_eq!(types.enumerator("upid", "PIDTYPE_PID"), None);
    }

    #[test]
    fn this_kernel_tells_how_it_numbers_processes() {
        let btf = fs::read(PATH).expect("the kernel's BTF");
        let found = KernelTypes::read(&btf).expect("a whole BTF");
        assert!(found.pid_numbers, "{found:?}");
        assert!(found.offsets.task_pid > 0 && found.offsets.signal_live > 0);
    }

    #[test]
    fn refuses_what_is_cut_off() {
        assert!(KernelTypes::read(&[]).is_err());
        assert!(KernelTypes::read(&[0; 64]).is_err());
        let whole = btf(&[0, 1 << 24, 4, 32], "\0");
        assert!(KernelTypes::read(&whole[..whole.len() - 1]).is_err());
        assert_eq!(KernelTypes::read(&whole), Ok(KernelTypes::default()));
        assert!(KernelTypes::read(&btf(&[0, 31 << 24, 4], "\0")).is_err());
    }
}
