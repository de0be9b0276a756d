//! What the kernel does with the instruction under a uprobe, after
//! `arch/arm64/kernel/probes` of Linux 5.15 to 7.3.
//!
//! The kernel asks first what cannot be executed elsewhere (`aarch64_insn_is_steppable`).
//! Of that it simulates a few instructions and refuses the others; everything else it
//! executes out of line. It so lets pass what it does not know: `bc.cond` and the branches
//! that compare (both newer than most kernels) would jump from the wrong place. Here it is
//! the other way round: what is not listed gets no probe.
//!
//! Not listed, on purpose:
//! - `ldr` and `ldrsw` of a literal, and `prfm` of one: simulated for kprobes or not at
//!   all, and refused for uprobes;
//! - exclusive loads and stores, and all of their encoding (`ldar`, `stlr`, `cas`), which
//!   the kernel refuses; what is between them is refused in `exclusive.rs`;
//! - other hints than `nop`: kernels differ, and a landing pad (`bti`) that is executed
//!   elsewhere is no landing pad;
//! - signed branches and returns (`braa`, `retaa`), which the kernel refuses;
//! - `msr`, `mrs`, `eret`, `svc`, `hvc`, `smc`, `brk`, `hlt`, barriers, caches;
//! - atomic instructions, which need none: something cheaper is before them.

use super::super::Handling;

/// A branch: the kernel works out where it goes.
const BRANCH: Handling = Handling::Emulated(0);
/// An address relative to the instruction. It costs the same as a branch; where there
/// are both, the branch is where it was measured.
const ADDRESS: Handling = Handling::Emulated(1);

/// A mask, and what the word is under it.
type Pattern = (u32, u32);

const BRANCHES: [Pattern; 7] = [
    // b, bl
    (0x7c00_0000, 0x1400_0000),
    // b.cond; bit 4 would make it bc.cond
    (0xff00_0010, 0x5400_0000),
    // cbz, cbnz
    (0x7e00_0000, 0x3400_0000),
    // tbz, tbnz
    (0x7e00_0000, 0x3600_0000),
    // br, blr, ret
    (0xffff_fc1f, 0xd61f_0000),
    (0xffff_fc1f, 0xd63f_0000),
    (0xffff_fc1f, 0xd65f_0000),
];

/// adr, adrp
const ADDRESSES: Pattern = (0x1f00_0000, 0x1000_0000);

/// Plain arithmetic, loads and stores, as compilers emit them.
const STEPPED: [Pattern; 18] = [
    // nop: simulated from 6.13 on, executed out of line before
    (0xffff_ffff, 0xd503_201f),
    // add, sub, adds, subs with an immediate
    (0x1f80_0000, 0x1100_0000),
    // and, orr, eor, ands with an immediate
    (0x1f80_0000, 0x1200_0000),
    // movn, movz, movk
    (0x1f80_0000, 0x1280_0000),
    // sbfm, bfm, ubfm
    (0x1f80_0000, 0x1300_0000),
    // extr
    (0x7fa0_0000, 0x1380_0000),
    // and, orr, eor, ands and their complements, with a register
    (0x1f00_0000, 0x0a00_0000),
    // add, sub, adds, subs with a register, shifted or extended
    (0x1f00_0000, 0x0b00_0000),
    // ccmp, ccmn
    (0x1fe0_0000, 0x1a40_0000),
    // csel, csinc, csinv, csneg
    (0x1fe0_0000, 0x1a80_0000),
    // udiv, sdiv, and shifts by a register
    (0x7fe0_f000, 0x1ac0_0000),
    (0x7fe0_f000, 0x1ac0_2000),
    // madd, msub and their long forms
    (0x1f00_0000, 0x1b00_0000),
    // loads and stores of a register, by an immediate that is scaled, ...
    (0x3b00_0000, 0x3900_0000),
    // ... is not, ...
    (0x3b20_0c00, 0x3800_0000),
    // ... is added afterwards or before, ...
    (0x3b20_0400, 0x3800_0400),
    // ... or by a register
    (0x3b20_0c00, 0x3820_0800),
    // ldp, stp, in each of these ways
    (0x3a00_0000, 0x2800_0000),
];

/// Among those, what is no plain load or store.
const NOT_STEPPED: [Pattern; 5] = [
    // prfm, by an immediate that is scaled or not, and by a register
    (0xffc0_0000, 0xf980_0000),
    (0xffe0_0c00, 0xf880_0000),
    (0xffe0_0c00, 0xf8a0_0800),
    // stgp
    (0xfe40_0000, 0x6800_0000),
    // pairs of an unprivileged access
    (0xfa00_0000, 0xe800_0000),
];

/// How every kernel from 5.15 on gets past the instruction that is this word.
pub(super) fn handling(word: u32) -> Handling {
    let is = |&(mask, value): &Pattern| word & mask == value;
    if BRANCHES.iter().any(is) {
        BRANCH
    } else if is(&ADDRESSES) {
        ADDRESS
    } else if STEPPED.iter().any(is) && !NOT_STEPPED.iter().any(is) {
        Handling::SingleStep
    } else {
        Handling::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::{ADDRESS, BRANCH, Handling, handling};

    fn all(expected: Handling, words: &[(u32, &str)]) {
        for &(word, text) in words {
            assert_eq!(handling(word), expected, "{word:#010x} {text}");
        }
    }

    #[test]
    fn what_is_simulated_on_every_kernel() {
        all(
            BRANCH,
            &[
                (0x1400_0040, "b #256"),
                (0x9400_0040, "bl #256"),
                (0x5400_0089, "b.ls #16"),
                (0x54ff_ffc1, "b.ne #-8"),
                (0x3400_0101, "cbz w1, #32"),
                (0xb500_0100, "cbnz x0, #32"),
                (0x3600_0101, "tbz w1, #0, #32"),
                (0xb740_0101, "tbnz x1, #40, #32"),
                (0xd61f_0200, "br x16"),
                (0xd63f_0340, "blr x26"),
                (0xd65f_03c0, "ret"),
                (0xd65f_0020, "ret x1"),
            ],
        );
        all(
            ADDRESS,
            &[
                (0x1000_0800, "adr x0, #256"),
                (0xb000_001b, "adrp x27, #4096"),
            ],
        );
        assert!(BRANCH < ADDRESS && ADDRESS < Handling::SingleStep);
    }

    #[test]
    fn what_is_executed_elsewhere() {
        all(
            Handling::SingleStep,
            &[
                (0xd503_201f, "nop"),
                (0xf940_0b90, "ldr x16, [x28, #16]"),
                (0xeb30_63ff, "cmp sp, x16"),
                (0xd104_03f1, "sub x17, sp, #256"),
                (0xf140_43f1, "subs x17, sp, #16, lsl #12"),
                (0xf819_0ffe, "str x30, [sp, #-112]!"),
                (0xf81f_83fd, "stur x29, [sp, #-8]"),
                (0xa97f_fbfd, "ldp x29, x30, [sp, #-8]"),
                (0xa901_07e0, "stp x0, x1, [sp, #16]"),
                (0xf847_07fe, "ldr x30, [sp], #112"),
                (0xd280_0201, "mov x1, #16"),
                (0xf2a2_4680, "movk x0, #4660, lsl #16"),
                (0xaa1e_03e3, "mov x3, x30"),
                (0x9240_1c00, "and x0, x0, #0xff"),
                (0xd343_1800, "ubfx x0, x0, #3, #4"),
                (0x93c2_1420, "extr x0, x1, x2, #5"),
                (0x8b01_0042, "add x2, x2, x1"),
                (0x8b21_4042, "add x2, x2, w1, uxtw"),
                (0x9a82_0020, "csel x0, x1, x2, eq"),
                (0xfa41_1800, "ccmp x0, #1, #0, ne"),
                (0x9ac2_0820, "udiv x0, x1, x2"),
                (0x9ac2_2020, "lsl x0, x1, x2"),
                (0x9b02_0c20, "madd x0, x1, x2, x3"),
                (0x3944_8f61, "ldrb w1, [x27, #291]"),
                (0xf862_7820, "ldr x0, [x1, x2, lsl #3]"),
                (0xb980_0420, "ldrsw x0, [x1, #4]"),
                (0x3d80_07e0, "str q0, [sp, #16]"),
            ],
        );
    }

    #[test]
    fn what_gets_no_probe() {
        all(
            Handling::Refused,
            &[
                (0x5800_0100, "ldr x0, #32"),
                (0x9800_0100, "ldrsw x0, #32"),
                (0xd800_0100, "prfm pldl1keep, #32"),
                (0xf980_0000, "prfm pldl1keep, [x0]"),
                (0xf89f_f000, "prfum pldl1keep, [x0, #-1]"),
                (0xf8a1_6800, "prfm pldl1keep, [x0, x1]"),
                (0xc85f_7c20, "ldxr x0, [x1]"),
                (0xc85f_fc20, "ldaxr x0, [x1]"),
                (0xc802_7c20, "stxr w2, x0, [x1]"),
                (0xc81b_fc02, "stlxr w27, x2, [x0]"),
                (0xc87f_8440, "ldaxp x0, x1, [x2]"),
                (0xc8df_fc20, "ldar x0, [x1]"),
                (0xc89f_fc20, "stlr x0, [x1]"),
                (0xc8a0_7c41, "cas x0, x1, [x2]"),
                (0x4820_7c82, "casp x0, x1, x2, x3, [x4]"),
                (0xf821_0002, "ldadd x1, x2, [x0]"),
                (0xf8e1_0002, "ldaddal x1, x2, [x0]"),
                (0xf8e1_8002, "swpal x1, x2, [x0]"),
                (0xd51b_d040, "msr tpidr_el0, x0"),
                (0xd53b_d040, "mrs x0, tpidr_el0"),
                (0xd503_41df, "msr daifset, #1"),
                (0xd69f_03e0, "eret"),
                (0xd400_0001, "svc #0"),
                (0xd400_0002, "hvc #0"),
                (0xd400_0003, "smc #0"),
                (0xd420_0000, "brk #0"),
                (0xd440_0000, "hlt #0"),
                (0x0000_0000, "udf #0"),
                (0xd503_245f, "bti c"),
                (0xd503_233f, "paciasp"),
                (0xd503_23bf, "autiasp"),
                (0xd503_203f, "yield"),
                (0xd503_205f, "wfe"),
                (0xd503_3bbf, "dmb ish"),
                (0xd503_3fdf, "isb"),
                (0xd50b_7420, "dc zva, x0"),
                (0xd503_3f5f, "clrex"),
                (0xd65f_0bff, "retaa"),
                (0xd71f_0801, "braa x0, x1"),
                (0xd63f_081f, "blraaz x0"),
                (0x5400_0110, "bc.eq #32"),
                (0xf401_0100, "cbgt x0, x1, #32"),
                (0x9181_0420, "addg x0, x1, #16, #1"),
                (0x6900_0440, "stgp x0, x1, [x2]"),
                (0xd920_0820, "stg x0, [x1]"),
                (0xf820_0420, "ldraa x0, [x1]"),
                (0xf840_0820, "ldtr x0, [x1]"),
                (0x1d01_0440, "cpyp [x0]!, [x1]!, x2!"),
                (0x19c2_0420, "setp [x0]!, x1!, x2"),
                (0xdac1_0020, "pacia x0, x1"),
                (0x1e62_2820, "fadd d0, d1, d2"),
                (0x9e66_0000, "fmov x0, d0"),
                (0xd940_0020, "ldapur x0, [x1]"),
            ],
        );
    }
}
