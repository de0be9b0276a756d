//! What the kernel does with the instruction under a uprobe, after
//! `arch/x86/kernel/uprobes.c` of Linux 5.15 to 6.18.
//!
//! A probe replaces the instruction's first byte by a trap. Afterwards the
//! instruction itself must still happen: a few the kernel emulates while it is
//! there anyway (`branch_setup_xol_ops`, `push_setup_xol_ops`), the rest it
//! executes out of line with a second trap, and some it refuses
//! (`uprobe_init_insn`). Only answers that hold on all these kernels are given.

use super::super::Handling;

/// `push` of a register: no branch to work out.
const PUSH: Handling = Handling::Emulated(0);
/// A nop of one byte.
const NOP: Handling = Handling::Emulated(1);
/// A relative jump or call.
const BRANCH: Handling = Handling::Emulated(2);

/// How every kernel from 5.15 on gets past the instruction that `code` begins with.
///
/// Not among the emulated ones, on purpose:
/// - nops longer than one byte (`0f 1f`): emulated from 6.18 on only
///   (`x86_nops`), and a five-byte one may there be rewritten to a call
///   (`can_optimize`);
/// - `66 90`: a 66 prefix made older kernels refuse it (`-ENOTSUPP`).
pub(super) fn handling(code: &[u8]) -> Handling {
    match *code {
        // push_setup_xol_ops: one byte, or two with exactly REX.B.
        [0x50..=0x57, ..] | [0x41, 0x50..=0x57, ..] => PUSH,
        // branch_setup_xol_ops: "prefix* + nop".
        [0x90, ..] => NOP,
        // The same: jmp rel8, jmp rel32, call rel32, jcc rel8, jcc rel32.
        [0xeb | 0xe9 | 0xe8 | 0x70..=0x7f, ..] | [0x0f, 0x80..=0x8f, ..] => BRANCH,
        _ if single_stepped(code) => Handling::SingleStep,
        _ => Handling::Refused,
    }
}

/// Plain moves, arithmetic and returns, as compilers emit them. All are in
/// `good_insns_64` or `good_2byte_insns`, and executing a copy elsewhere is
/// the same: the kernel rewrites RIP-relative operands (`riprel_analyze`).
/// The lock prefix and the segment prefixes but FS and GS are refused
/// (`is_prefix_bad`), so none of them is let through here.
fn single_stepped(code: &[u8]) -> bool {
    let opcode = match *code {
        [0x40..=0x4f, ref rest @ ..] => rest,
        _ => code,
    };
    match *opcode {
        [
            // add, or, and, sub, xor, cmp
            0x01 | 0x03 | 0x09 | 0x0b | 0x21 | 0x23 | 0x29 | 0x2b | 0x31 | 0x33 | 0x39 | 0x3b
            // the same with an immediate, test, mov, lea
            | 0x80 | 0x81 | 0x83 | 0x84 | 0x85 | 0x88..=0x8b | 0x8d
            // mov immediate
            | 0xb8..=0xbf | 0xc6 | 0xc7
            // ret
            | 0xc3,
            ..,
        ]
        // movups, movzx, movsx; nop with an operand
        | [0x0f, 0x10 | 0x11 | 0x1f | 0xb6 | 0xb7 | 0xbe | 0xbf, ..] => true,
        // inc, dec of memory or register; the rest of the group is branches and push
        [0xff, modrm, ..] => matches!((modrm >> 3) & 7, 0 | 1),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{BRANCH, Handling, NOP, PUSH, handling};

    #[test]
    fn emulated_on_every_kernel() {
        for (code, expected) in [
            (&[0x55][..], PUSH),                 // push rbp
            (&[0x41, 0x57], PUSH),               // push r15
            (&[0x90], NOP),                      // nop
            (&[0xeb, 0x10], BRANCH),             // jmp short
            (&[0xe9, 1, 2, 3, 4], BRANCH),       // jmp
            (&[0xe8, 1, 2, 3, 4], BRANCH),       // call
            (&[0x76, 0x10], BRANCH),             // jbe short
            (&[0x0f, 0x86, 1, 2, 3, 4], BRANCH), // jbe
        ] {
            assert_eq!(handling(code), expected, "{code:02x?}");
        }
    }

    #[test]
    fn not_emulated_but_stepped() {
        for code in [
            &[0x49, 0x3b, 0x66, 0x10][..],   // cmp rsp, [r14+0x10]
            &[0x48, 0x83, 0xec, 0x40],       // sub rsp, 0x40
            &[0x0f, 0x1f, 0x44, 0x00, 0x00], // five-byte nop
            &[0x48, 0x8d, 0x0d, 1, 2, 3, 4], // lea rcx, [rip+x]
            &[0xba, 1, 0, 0, 0],             // mov edx, 1
            &[0xc3],                         // ret
            &[0xff, 0x82, 8, 1, 0, 0],       // inc dword [rdx+0x108]
        ] {
            assert_eq!(handling(code), Handling::SingleStep, "{code:02x?}");
        }
    }

    #[test]
    fn never_chosen() {
        for code in [
            &[0xf0, 0x48, 0x0f, 0xc1, 0x0e][..], // lock xadd [rsi], rcx
            &[0x66, 0x90],                       // refused up to 6.17
            &[0x66, 0xe8, 1, 2, 3, 4],           // callw
            &[0x0f, 0x05],                       // syscall
            &[0x0f, 0x0b],                       // ud2
            &[0xcc],                             // int3
            &[0xff, 0x17],                       // call [rdi]
            &[0x48, 0x55],                       // push rbp with REX.W: not REX.B
            &[0xf3, 0x0f, 0x10, 0x00],           // not known here
            &[],
        ] {
            assert_eq!(handling(code), Handling::Refused, "{code:02x?}");
        }
    }
}
