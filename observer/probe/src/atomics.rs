//! Whether the kernel runs programs with atomics that tell what was there before.
//!
//! The verifier takes them since Linux 5.12. The kernel's compiler for arm64 knows them
//! since 5.18; until then a kernel that may not interpret programs refuses ours. So a
//! program is loaded that does nothing else, with each of them in it.

use std::{io, os::fd::OwnedFd};

use aya_obj::generated::{bpf_cmd, bpf_prog_type::BPF_PROG_TYPE_KPROBE};

use super::sys::{bpf_fd, zeroed};

/// One instruction.
const LEN: usize = 8;
/// `BPF_STX | BPF_ATOMIC | BPF_DW`.
const ATOMIC: u8 = 0xdb;
/// What it does, in its immediate: `BPF_OR`, `BPF_ADD | BPF_FETCH`, `BPF_CMPXCHG`.
const OR: i32 = 0x40;
const FETCH_ADD: i32 = 0x01;
const COMPARE_EXCHANGE: i32 = 0xf1;
const STACK: u8 = 10;
/// What the kernel says of a program that it can neither compile nor interpret. User
/// space has no name for it.
const ENOTSUPP: i32 = 524;

/// All that our programs use besides an addition that tells nothing, on a word of the stack.
static PROGRAM: [[u8; LEN]; 8] = [
    // r0 = 0
    instruction(0xb7, 0, 0, 0, 0),
    // *(u64 *)(r10 - 8) = 0
    instruction(0x7a, STACK, 0, -8, 0),
    // r1 = 1
    instruction(0xb7, 1, 0, 0, 1),
    instruction(ATOMIC, STACK, 1, -8, OR),
    instruction(ATOMIC, STACK, 1, -8, FETCH_ADD),
    instruction(ATOMIC, STACK, 1, -8, COMPARE_EXCHANGE),
    // r0 = 0
    instruction(0xb7, 0, 0, 0, 0),
    // exit
    instruction(0x95, 0, 0, 0, 0),
];

const fn instruction(code: u8, to: u8, from: u8, offset: i16, imm: i32) -> [u8; LEN] {
    let [low, high] = offset.to_le_bytes();
    let [a, b, c, d] = imm.to_le_bytes();
    [code, from << 4 | to, low, high, a, b, c, d]
}

/// Tries them; `None` where the kernel does not let the observer try.
pub(super) fn try_all() -> Option<bool> {
    let loaded = load();
    if let Err(error) = &loaded {
        tracing::debug!(%error, "failed to load a program of atomics");
    }
    told_by(loaded.map(drop))
}

/// What the outcome of loading tells.
fn told_by(loaded: io::Result<()>) -> Option<bool> {
    match loaded.map_err(|error| error.raw_os_error()) {
        Ok(()) => Some(true),
        // The verifier's word, and that of the compiler.
        Err(Some(libc::EINVAL | ENOTSUPP)) => Some(false),
        Err(_) => None,
    }
}

fn load() -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    // SAFETY: all of the union is zero, so any of its variants is valid.
    let program = unsafe { &mut attr.__bindgen_anon_3 };
    program.prog_type = BPF_PROG_TYPE_KPROBE as u32;
    program.insn_cnt = PROGRAM.len() as u32;
    program.insns = PROGRAM.as_ptr().expose_provenance() as u64;
    program.license = c"Dual MIT/GPL".as_ptr().expose_provenance() as u64;
    // SAFETY: the command makes a descriptor. It reads as many instructions as are said,
    // and a text that ends with a zero.
    unsafe { bpf_fd(bpf_cmd::BPF_PROG_LOAD, &mut attr) }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, io};

    use object::{Object as _, ObjectSection as _, SectionKind, read::elf::ElfFile64};

    use super::{
        super::load::OBJECT, ATOMIC, COMPARE_EXCHANGE, ENOTSUPP, FETCH_ADD, LEN, OR, PROGRAM,
        told_by,
    };

    /// `BPF_LD | BPF_IMM | BPF_DW`, which takes the place of two.
    const LOAD_WIDE: u8 = 0x18;
    /// `BPF_ADD`, which every kernel with eBPF has.
    const ADD: i32 = 0;

    /// What the atomics of some code do.
    fn atomics(code: &[u8]) -> BTreeSet<i32> {
        let mut found = BTreeSet::new();
        let mut instructions = code.as_chunks::<LEN>().0.iter();
        while let Some(&[code, _, _, _, imm @ ..]) = instructions.next() {
            if code == LOAD_WIDE {
                instructions.next();
            } else if code == ATOMIC {
                found.insert(i32::from_le_bytes(imm));
            } else {
                // `BPF_ATOMIC` on fewer bytes: arm64 had it as late.
                assert!(code & 7 != 3 || code & 0xe0 != 0xc0, "{code:#x}");
            }
        }
        found
    }

    #[test]
    fn whatever_atomics_the_programs_use_is_tried() {
        let tried = BTreeSet::from([OR, FETCH_ADD, COMPARE_EXCHANGE]);
        assert_eq!(atomics(&PROGRAM.concat()), tried);
        let file = ElfFile64::<object::Endianness>::parse(OBJECT).expect("the object");
        let mut used = BTreeSet::new();
        for section in file.sections() {
            if section.kind() == SectionKind::Text {
                used.extend(atomics(section.data().expect("its instructions")));
            }
        }
        assert!(used.remove(&ADD), "{used:x?}");
        assert_eq!(used, tried);
    }

    #[test]
    fn only_a_refusal_of_the_program_tells_that_there_are_none() {
        let failed = |errno| told_by(Err(io::Error::from_raw_os_error(errno)));
        assert_eq!(told_by(Ok(())), Some(true));
        assert_eq!(failed(libc::EINVAL), Some(false));
        assert_eq!(failed(ENOTSUPP), Some(false));
        for errno in [libc::EPERM, libc::EACCES, libc::ENOSYS, libc::ENOMEM] {
            assert_eq!(failed(errno), None, "{errno}");
        }
    }
}
