//! What the kernel says of its own types in its BTF: where fields of its
//! structures lie, and by which structures it has a feature.

use observer_ebpf::KernelOffsets;

use super::{
    btf::Types,
    machine::{self, Machine},
};

/// Where the kernel shows it.
pub(super) const PATH: &str = "/sys/kernel/btf/vmlinux";

/// What is read from a kernel's BTF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a feature of its own"
)]
pub(super) struct KernelTypes {
    pub(super) offsets: KernelOffsets,
    /// The registers of a task are those of another architecture than the observer was
    /// built for: it runs by emulation, and the programs would read what they do not mean.
    pub(super) foreign_registers: bool,
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
        let numbers = pid_numbers(&types);
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
            foreign_registers: has_other_registers(&types, machine::OWN),
            pid_numbers: numbers.is_some() && has("task_struct", "signal"),
            uprobe_multi: types.structure("bpf_uprobe_multi_link").is_some(),
            attach_cookie: has("bpf_trace_run_ctx", "bpf_cookie"),
            private_stack: has("bpf_prog_aux", "priv_stack_ptr")
                || has("bpf_prog_aux", "jits_use_priv_stack"),
            bpf_mem_alloc: has("bpf_htab", "ma"),
        })
    }
}

/// Whether the kernel keeps a task's registers otherwise than a machine has them.
fn has_other_registers(types: &Types<'_>, machine: &Machine) -> bool {
    types.structure("pt_regs").is_some_and(|structure| {
        let mut registers = machine.registers.iter();
        registers.any(|(name, at)| types.member(structure, name) != Some(*at))
    })
}

/// Where a process's numbers are found, from its `signal_struct` on.
fn pid_numbers(types: &Types<'_>) -> Option<KernelOffsets> {
    let pids = types.offset("signal_struct", "pids")?;
    let place = types.enumerator("pid_type", "PIDTYPE_TGID")?;
    let namespace = types.offset("pid_namespace", "ns")?;
    Some(KernelOffsets {
        signal_tgid: pids + place * size_of::<u64>() as u64,
        pid_level: types.offset("pid", "level")?,
        pid_numbers: types.offset("pid", "numbers")?,
        upid_size: types.size("upid")?,
        upid_nr: types.offset("upid", "nr")?,
        upid_ns: types.offset("upid", "ns")?,
        namespace_inum: namespace + types.offset("ns_common", "inum")?,
        ..KernelOffsets::default()
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{
        super::{
            btf::{Types, built},
            machine,
        },
        KernelOffsets, KernelTypes, PATH, has_other_registers,
    };

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
        let found = KernelTypes::read(&built(&types, strings)).expect("a whole BTF");
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
            KernelTypes::read(&built(&types.concat(), strings)).expect("a whole BTF")
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
    fn this_kernel_tells_how_it_numbers_processes() {
        let btf = fs::read(PATH).expect("the kernel's BTF");
        let found = KernelTypes::read(&btf).expect("a whole BTF");
        assert!(found.pid_numbers && !found.foreign_registers, "{found:?}");
        assert!(found.offsets.task_pid > 0 && found.offsets.signal_live > 0);
    }

    #[test]
    fn refuses_what_is_cut_off() {
        assert!(KernelTypes::read(&[]).is_err());
        assert!(KernelTypes::read(&[0; 64]).is_err());
        let whole = built(&[0, 1 << 24, 4, 32], "\0");
        assert!(KernelTypes::read(&whole[..whole.len() - 1]).is_err());
        assert_eq!(KernelTypes::read(&whole), Ok(KernelTypes::default()));
        assert!(KernelTypes::read(&built(&[0, 31 << 24, 4], "\0")).is_err());
    }

    /// As the kernel of arm64 has them, behind what has no name; and as that of x86-64.
    #[test]
    fn registers_tell_whose_kernel_it_is() {
        let strings = "\0pt_regs\0regs\0sp\0pc\0r14\0bx\0ax\0cx\0di\0ip\0";
        let name = |text: &str| {
            let at = strings.find(&format!("\0{text}\0"));
            at.expect("a name of the table") as u32 + 1
        };
        let integer = [0, 1 << 24, 8, 64];
        let member = |text: &str, at: u32| [name(text), 1, 8 * at];
        let kernel = |members: &[[u32; 3]], size| {
            let head = [name("pt_regs"), 4 << 24 | members.len() as u32, size];
            [&integer[..], &head, &members.concat()].concat()
        };
        let x86_64 = [
            member("r14", 8),
            member("bx", 40),
            member("ax", 80),
            member("cx", 88),
            member("di", 112),
            member("ip", 128),
        ];
        let inner = [member("regs", 0), member("sp", 248), member("pc", 256)];
        let arm64 = [
            &integer[..],
            // 2: a structure without a name, 3: a union of it.
            &[0, 4 << 24 | 3, 272],
            &inner.concat(),
            &[0, 5 << 24 | 1, 272, 0, 2, 0],
            &[name("pt_regs"), 4 << 24 | 1, 336, 0, 3, 0],
        ];
        let moved = [member("regs", 8), member("sp", 256), member("pc", 264)];
        for (types, foreign_to_x86_64, foreign_to_arm64) in [
            (kernel(&x86_64, 168), false, true),
            (arm64.concat(), true, false),
            (kernel(&moved, 336), true, true),
            // Nothing is told of them.
            (integer.to_vec(), false, false),
        ] {
            let btf = built(&types, strings);
            let types = Types::parse(&btf).expect("a whole BTF");
            let foreign = |machine| has_other_registers(&types, machine);
            assert_eq!(foreign(&machine::X86_64), foreign_to_x86_64);
            assert_eq!(foreign(&machine::ARM64), foreign_to_arm64);
        }
    }
}
