//! What instructions together do to a variable.

use super::super::super::{Access, Instruction, OperandAddress, Operation as O};
use super::{read, x};

/// What the functions refer to is behind this.
const PAGE: u64 = 0x40_3000;

/// Where, what, how wide, as a whole or not; an address that is not known as what it is
/// relative to.
type Seen = (usize, OperandAddress, O, usize, bool);

fn seen(words: &[u32]) -> Vec<Seen> {
    let accesses = read(words).into_iter().enumerate();
    accesses
        .flat_map(|(index, it)| it.accesses().map(move |access| (index, access)))
        .map(|(index, it): (usize, Access)| (index, it.place, it.operation, it.width, it.atomic))
        .collect()
}

fn fixed(distance: u64) -> OperandAddress {
    OperandAddress::Fixed(PAGE + distance)
}

#[test]
fn an_address_is_formed_by_several() {
    assert_eq!(
        seen(&[
            0xd000_0000, // adrp x0, PAGE
            0x9104_8000, // add x0, x0, #0x120
            0xf940_0401, // ldr x1, [x0, #8]
            0xd000_001b, // adrp x27, PAGE
            0x9104_a37b, // add x27, x27, #0x128
            0xb900_0362, // str w2, [x27]
            0xd000_001b, // adrp x27, PAGE
            0xa953_1363, // ldp x3, x4, [x27, #0x130]
            0x1000_0825, // adr x5, 0x104 behind it
            0xd503_201f, // nop
        ]),
        [
            (1, fixed(0x120), O::Address, 0, false),
            (2, fixed(0x128), O::Load(x(1)), 8, false),
            // The assembler's own register: nobody takes this address.
            (5, fixed(0x128), O::Store(x(2)), 4, false),
            (7, fixed(0x130), O::Load(x(3)), 8, false),
            (7, fixed(0x138), O::Load(x(4)), 8, false),
            (8, OperandAddress::Fixed(0x40_1124), O::Address, 0, false),
        ]
    );
}

#[test]
fn a_change_is_a_load_and_a_store() {
    assert_eq!(
        seen(&[
            0xd000_001b, // adrp x27, PAGE
            0xb941_2361, // ldr w1, [x27, #0x120]
            0x1100_0421, // add w1, w1, #1
            0xd000_001b, // adrp x27, PAGE
            0xb901_2361, // str w1, [x27, #0x120]
            0xf940_9762, // ldr x2, [x27, #0x128]
            0xcb02_00c2, // sub x2, x6, x2
            0xf940_9b63, // ldr x3, [x27, #0x130]
            0x8b02_0062, // add x2, x3, x2
            0xf900_9b62, // str x2, [x27, #0x130]
            0xf940_9f64, // ldr x4, [x27, #0x138]
            0xd100_0484, // sub x4, x4, #1
            0xf900_9f64, // str x4, [x27, #0x138]
            0xf900_a364, // str x4, [x27, #0x140]
        ]),
        [
            (1, fixed(0x120), O::Load(x(1)), 4, false),
            (4, fixed(0x120), O::Increment, 4, false),
            (5, fixed(0x128), O::Load(x(2)), 8, false),
            (7, fixed(0x130), O::Load(x(3)), 8, false),
            (9, fixed(0x130), O::Add, 8, false),
            (10, fixed(0x138), O::Load(x(4)), 8, false),
            (12, fixed(0x138), O::Subtract, 8, false),
            (13, fixed(0x140), O::Store(x(4)), 8, false),
        ]
    );
}

#[test]
fn a_constant_is_in_a_register() {
    let found = read(&[
        0xd284_e201, // mov x1, #10000
        0xd000_001b, // adrp x27, PAGE
        0xb901_2361, // str w1, [x27, #0x120]
        0xf900_977f, // str xzr, [x27, #0x128]
        0xd282_4682, // mov x2, #0x1234
        0xf2aa_cf02, // movk x2, #0x5678, lsl #16
        0xb901_3362, // str w2, [x27, #0x130]
        0x9280_0003, // mov x3, #-1
        0xb901_3763, // str w3, [x27, #0x134]
        0xa913_977f, // stp xzr, x5, [x27, #0x138]
        0xb27c_03e1, // orr x1, xzr, #0x10
        0xb901_4b61, // str w1, [x27, #0x148]
    ]);
    let stored: Vec<_> = found
        .iter()
        .flat_map(Instruction::accesses)
        .map(|it| (it.place, it.operation, it.width, it.constant))
        .collect();
    assert_eq!(
        stored,
        [
            (fixed(0x120), O::Set, 4, Some(10_000)),
            (fixed(0x128), O::Set, 8, Some(0)),
            (fixed(0x130), O::Set, 4, Some(0x5678_1234)),
            (fixed(0x134), O::Set, 4, Some(0xffff_ffff)),
            (fixed(0x138), O::Set, 8, Some(0)),
            (fixed(0x140), O::Store(x(5)), 8, None),
            (fixed(0x148), O::Set, 4, Some(16)),
        ]
    );
}

#[test]
fn what_happens_as_a_whole() {
    let at = fixed(0x120);
    assert_eq!(
        seen(&[
            0xd000_0000, // adrp x0, PAGE
            0x9104_8000, // add x0, x0, #0x120
            0xf8e1_0002, // ldaddal x1, x2, [x0]
            0xb821_0002, // ldadd w1, w2, [x0]
            0xf821_001f, // stadd x1, [x0]
            0xf8e1_8002, // swpal x1, x2, [x0]
            0xc8e1_fc02, // casal x1, x2, [x0]
            0xf8e1_1002, // ldclral x1, x2, [x0]
            0xc89f_fc01, // stlr x1, [x0]
            0xc8df_fc03, // ldar x3, [x0]
            0xf8e1_0122, // ldaddal x1, x2, [x9]
        ]),
        [
            (1, at, O::Address, 0, false),
            (2, at, O::FetchAdd, 8, true),
            (3, at, O::FetchAdd, 4, true),
            (4, at, O::Add, 8, true),
            (5, at, O::Exchange, 8, true),
            (6, at, O::Other, 8, true),
            (7, at, O::Other, 8, true),
            (8, at, O::Store(x(1)), 8, false),
            (9, at, O::Load(x(3)), 8, false),
            (10, OperandAddress::Behind(x(9)), O::FetchAdd, 8, true),
        ]
    );
}

/// What Go compiles where the processor may lack atomic instructions.
#[test]
fn a_loop_until_it_succeeds_is_one_change() {
    let at = fixed(0x120);
    assert_eq!(
        seen(&[
            0xd280_0201, // mov x1, #16
            0xd000_0000, // adrp x0, PAGE
            0x9104_8000, // add x0, x0, #0x120
            0xf000_001b, // adrp x27, the page behind
            0x3940_4362, // ldrb w2, [x27, #0x10]
            0x3600_0082, // tbz w2, #0, to ldaxr
            0xf8e1_0002, // ldaddal x1, x2, [x0]
            0x8b01_0042, // add x2, x2, x1
            0x1400_0005, // b, to ret
            0xc85f_fc02, // ldaxr x2, [x0]
            0x8b01_0042, // add x2, x2, x1
            0xc81b_fc02, // stlxr w27, x2, [x0]
            0x35ff_ffbb, // cbnz w27, to ldaxr
            0xd65f_03c0, // ret
        ]),
        [
            (2, at, O::Address, 0, false),
            (4, fixed(0x1010), O::Load(x(2)), 1, false),
            (6, at, O::FetchAdd, 8, true),
            (11, at, O::FetchAdd, 8, true),
        ]
    );
    assert_eq!(
        seen(&[
            0xd000_0000, // adrp x0, PAGE
            0x9104_8000, // add x0, x0, #0x120
            0xc85f_fc02, // ldaxr x2, [x0]
            0xc81b_fc01, // stlxr w27, x1, [x0]
            0x35ff_ffdb, // cbnz w27, to ldaxr
            0xc85f_fc02, // ldaxr x2, [x0]
            0xeb03_005f, // cmp x2, x3
            0x5400_0061, // b.ne, behind the loop
            0xc81b_fc01, // stlxr w27, x1, [x0]
            0x35ff_ff9b, // cbnz w27, to ldaxr
            0x085f_fc02, // ldaxrb w2, [x0]
            0x0a01_0042, // and w2, w2, w1
            0x081b_fc02, // stlxrb w27, w2, [x0]
            0x35ff_ffbb, // cbnz w27, to ldaxrb
            0xd65f_03c0, // ret
        ]),
        [
            (1, at, O::Address, 0, false),
            (3, at, O::Exchange, 8, true),
            (8, at, O::Other, 8, true),
            (12, at, O::Other, 1, true),
        ]
    );
}

#[test]
fn where_ways_meet_only_what_both_know_is_known() {
    assert_eq!(
        seen(&[
            0xd000_0000, // adrp x0, PAGE
            0x9104_8000, // add x0, x0, #0x120
            0xb400_0061, // cbz x1, to the first ldr
            0xd000_0000, // adrp x0, PAGE
            0x9104_a000, // add x0, x0, #0x128
            0xf940_0402, // ldr x2, [x0, #8]
            0x9400_0040, // bl
            0xf940_0402, // ldr x2, [x0, #8]
        ]),
        [
            (1, fixed(0x120), O::Address, 0, false),
            (4, fixed(0x128), O::Address, 0, false),
        ]
    );
    assert_eq!(
        seen(&[
            0xd000_0000, // adrp x0, PAGE
            0x9104_8000, // add x0, x0, #0x120
            0xb400_0041, // cbz x1, to the first ldr
            0xd280_0023, // mov x3, #1
            0xf940_0402, // ldr x2, [x0, #8]
            0xf863_6802, // ldr x2, [x0, x3]
            0xf940_03e2, // ldr x2, [sp]
            0xb940_00e2, // ldr w2, [x7]
            0xb940_04e2, // ldr w2, [x7, #4]
        ]),
        [
            (1, fixed(0x120), O::Address, 0, false),
            (4, fixed(0x128), O::Load(x(2)), 8, false),
            (7, OperandAddress::Behind(x(7)), O::Load(x(2)), 4, false),
        ]
    );
}

#[test]
fn a_loop_may_change_what_was_known() {
    assert_eq!(
        seen(&[
            0xd000_0000, // adrp x0, PAGE
            0x9104_8000, // add x0, x0, #0x120
            0xf940_0402, // ldr x2, [x0, #8]
            0x9400_0040, // bl
            0xb5ff_ffc2, // cbnz x2, to ldr
            0xd65f_03c0, // ret
        ]),
        [(1, fixed(0x120), O::Address, 0, false)]
    );
}

#[test]
fn a_jump_by_a_table_may_go_anywhere() {
    assert_eq!(
        seen(&[
            0xd000_0000, // adrp x0, PAGE
            0x9104_8000, // add x0, x0, #0x120
            0xd503_201f, // nop
            0xf940_0402, // ldr x2, [x0, #8]
            0xd000_001b, // adrp x27, PAGE
            0xf940_9362, // ldr x2, [x27, #0x120]
            0xd61f_0200, // br x16
        ]),
        [
            (1, fixed(0x120), O::Address, 0, false),
            (5, fixed(0x120), O::Load(x(2)), 8, false),
        ]
    );
}
