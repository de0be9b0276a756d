//! What assembled instructions say of themselves.

mod variables;

use super::super::{Flow, Handling, Instruction, InstructionSet, Register, Registers};
use super::Arm64;

const AT: u64 = 0x40_1000;

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn read(words: &[u32]) -> Vec<Instruction> {
    let found: Option<Vec<Instruction>> = Arm64.decode(&bytes(words), AT).collect();
    let found = found.expect("instructions");
    for (index, instruction) in found.iter().enumerate() {
        assert_eq!(instruction.address, AT + 4 * index as u64);
        assert_eq!(instruction.length, 4);
    }
    found
}

fn one(word: u32) -> Instruction {
    read(&[word])[0]
}

fn x(number: u8) -> Register {
    Register::new(number)
}

#[test]
fn what_is_executed_next() {
    for (word, flow) in [
        (0xd503_201f, Flow::Next),                 // nop
        (0xeb30_63ff, Flow::Next),                 // cmp sp, x16
        (0xc8a0_7c41, Flow::Next),                 // cas x0, x1, [x2]
        (0x1400_0040, Flow::Jump(AT + 0x100)),     // b
        (0x9400_0040, Flow::Call(AT + 0x100)),     // bl
        (0x5400_0089, Flow::Conditional(AT + 16)), // b.ls
        (0x54ff_ffc1, Flow::Conditional(AT - 8)),  // b.ne
        (0x3400_0101, Flow::Conditional(AT + 32)), // cbz w1
        (0xb500_0100, Flow::Conditional(AT + 32)), // cbnz x0
        (0x3600_0101, Flow::Conditional(AT + 32)), // tbz w1, #0
        (0xb740_0101, Flow::Conditional(AT + 32)), // tbnz x1, #40
        (0x5400_0110, Flow::Conditional(AT + 32)), // bc.eq
        (0xf401_0100, Flow::Conditional(AT + 32)), // cbgt x0, x1
        (0xd65f_03c0, Flow::Return),               // ret
        (0xd65f_0020, Flow::Elsewhere),            // ret x1
        (0xd65f_0bff, Flow::Elsewhere),            // retaa
        (0xd61f_0200, Flow::Elsewhere),            // br x16
        (0xd63f_0340, Flow::Elsewhere),            // blr x26
        (0xd71f_0801, Flow::Elsewhere),            // braa x0, x1
        (0xd400_0001, Flow::Elsewhere),            // svc #0
        (0xd420_0000, Flow::Elsewhere),            // brk #0
        (0xd69f_03e0, Flow::Elsewhere),            // eret
        (0x0000_0000, Flow::Elsewhere),            // udf #0
    ] {
        assert_eq!(one(word).flow, flow, "{word:#010x}");
    }
}

#[test]
fn what_is_written() {
    let none = Registers::NONE;
    for (word, written) in [
        (0xf940_0b90, none.with(x(16))),             // ldr x16, [x28, #16]
        (0xeb30_63ff, none),                         // cmp sp, x16
        (0xd104_03f1, none.with(x(17))),             // sub x17, sp, #256
        (0xf819_0ffe, none),                         // str x30, [sp, #-112]!
        (0xf81f_83fd, none),                         // stur x29, [sp, #-8]
        (0xf800_8c20, none.with(x(1))),              // str x0, [x1, #8]!
        (0xf840_8420, none.with(x(0)).with(x(1))),   // ldr x0, [x1], #8
        (0xa97f_fbfd, none.with(x(29)).with(x(30))), // ldp x29, x30, [sp, #-8]
        (0x2901_07e0, none),                         // stp w0, w1, [sp, #8]
        (0xaa1e_03e3, none.with(x(3))),              // mov x3, x30
        (0x5280_0201, none.with(x(1))),              // mov w1, #16
        (0xf2a2_4680, none.with(x(0))),              // movk x0, #4660, lsl #16
        (0x9000_001b, none.with(x(27))),             // adrp x27
        (0x9a82_0020, none.with(x(0))),              // csel x0, x1, x2, eq
        (0xfa41_1800, none),                         // ccmp x0, #1, #0, ne
        (0x9400_0040, none.with(x(30))),             // bl
        (0xd63f_0340, none.with(x(30))),             // blr x26
        (0x3600_0101, none),                         // tbz w1, #0
        (0xc85f_fc20, none.with(x(0))),              // ldaxr x0, [x1]
        (0xc81b_fc02, none.with(x(27))),             // stlxr w27, x2, [x0]
        (0xf8e1_0002, none.with(x(2))),              // ldaddal x1, x2, [x0]
        (0xf8e1_8002, none.with(x(2))),              // swpal x1, x2, [x0]
        (0xc8a0_7c41, none.with(x(0))),              // cas x0, x1, [x2]
        (0x3d80_07e0, none),                         // str q0, [sp, #16]
        (0x3dc0_07e0, none),                         // ldr q0, [sp, #16]
        (0x9e66_0000, none.with(x(0))),              // fmov x0, d0
        (0xd53b_d040, none.with(x(0))),              // mrs x0, tpidr_el0
    ] {
        assert_eq!(Arm64.writes(&bytes(&[word])), written, "{word:#010x}");
    }
    assert_eq!(Arm64.writes(&[0x1f]), none);
}

#[test]
fn how_far_the_stack_moves() {
    for (word, moved) in [
        (0xf819_0ffe, Some(-112)), // str x30, [sp, #-112]!
        (0xf847_07fe, Some(112)),  // ldr x30, [sp], #112
        (0xd104_03ff, Some(-256)), // sub sp, sp, #256
        (0x9140_07ff, Some(4096)), // add sp, sp, #1, lsl #12
        (0x9100_029f, None),       // mov sp, x20
        (0xcb21_63ff, None),       // sub sp, sp, x1
        (0xd104_03f1, Some(0)),    // sub x17, sp, #256
        (0xf81f_83fd, Some(0)),    // stur x29, [sp, #-8]
        (0xeb30_63ff, Some(0)),    // cmp sp, x16
        (0xd503_201f, Some(0)),    // nop
    ] {
        assert_eq!(Arm64.moves_stack(&bytes(&[word])), moved, "{word:#010x}");
    }
}

#[test]
fn where_go_keeps_what() {
    for place in 0..16 {
        assert_eq!(Arm64.argument(place), Some(x(place as u8)));
    }
    assert_eq!(Arm64.argument(16), None);
    assert_eq!(Arm64.goroutine(), x(28));
    assert_eq!(Arm64.registers_since(), 18);
}

#[test]
fn people_read_absolute_addresses() {
    for (word, text) in [
        (0x9400_0040, "bl 0x401100"),
        (0x5400_0089, "b.ls 0x401010"),
        (0x3600_0101, "tbz w1, #0x0, 0x401020"),
        (0xf940_0b90, "ldr x16, [x28, #0x10]"),
        (0xd65f_03c0, "ret"),
        (0xd503_201f, "nop"),
    ] {
        assert_eq!(Arm64.text(&bytes(&[word]), AT), text);
    }
    assert_eq!(Arm64.text(&[0x1f], AT), "");
}

/// A trap between the two clears what the processor remembers, and the store fails.
#[test]
fn no_probe_between_an_exclusive_load_and_its_store() {
    let handling = |words: &[u32]| -> Vec<bool> {
        let found = read(words);
        found
            .iter()
            .map(|it| it.handling != Handling::Refused)
            .collect()
    };
    assert_eq!(
        handling(&[
            0x9104_8000, // add x0, x0, #0x120
            0xc85f_fc02, // ldaxr x2, [x0]
            0xeb03_005f, // cmp x2, x3
            0x5400_0061, // b.ne, behind the loop
            0xc81b_fc01, // stlxr w27, x1, [x0]
            0x35ff_ff9b, // cbnz w27, to the load
            0xd65f_03c0, // ret
        ]),
        [true, false, false, false, false, true, true]
    );
    // Whatever follows a load without a store, up to what forgets the load.
    assert_eq!(
        handling(&[
            0xc87f_8440, // ldaxp x0, x1, [x2]
            0xd503_201f, // nop
            0xd503_3f5f, // clrex
            0xd503_201f, // nop
        ]),
        [false, false, false, true]
    );
    // These are none, though they are encoded alike.
    assert_eq!(
        handling(&[
            0xc8df_fc20, // ldar x0, [x1]
            0xd503_201f, // nop
            0x4820_7c82, // casp x0, x1, x2, x3, [x4]
            0xd503_201f, // nop
            0xc8a0_7c41, // cas x0, x1, [x2]
            0xd503_201f, // nop
        ]),
        [false, true, false, true, false, true]
    );
}

#[test]
fn decoding_goes_on_behind_what_is_no_instruction() {
    // A part of the encoding that is not used.
    let code = bytes(&[0xd503_201f, 0x0200_0000, 0xd503_201f]);
    let found: Vec<_> = Arm64.decode(&code, AT).collect();
    assert!(matches!(found[..], [Some(_), None, Some(_)]), "{found:?}");
}

#[test]
fn a_constant_among_instructions_is_none() {
    let code = bytes(&[
        0x5800_0060, // ldr x0, 12 behind it
        0x1800_0082, // ldr w2, 16 behind it
        0xd65f_03c0, // ret
        0xd65f_03c0, // what x0 gets
        0xd65f_03c0, // the rest of it
        0xd65f_03c0, // what w2 gets
        0xd65f_03c0, // ret
    ]);
    let found: Vec<_> = Arm64.decode(&code, AT).map(|it| it.is_some()).collect();
    assert_eq!(found, [true, true, true, false, false, false, true]);
}

#[test]
fn what_is_cut_is_no_instruction() {
    let decode = |code: &[u8]| -> Vec<_> { Arm64.decode(code, AT).collect() };
    assert_eq!(decode(&[]), []);
    assert_eq!(decode(&[0x1f, 0x20, 0x03]), [None]);
    let found = decode(&[0x1f, 0x20, 0x03, 0xd5, 0x1f]);
    assert!(matches!(found[..], [Some(_), None]), "{found:?}");
}

/// Code from a stranger's file must not end the observer, wherever it says that it lies.
#[test]
fn noise_is_no_panic() {
    let mut state = 1u32;
    for address in [0, AT, u64::MAX - 20, u64::MAX - 7] {
        let words: Vec<u32> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // All kinds of instructions, branches among them.
            match state % 4 {
                0 => 0x5400_0000 | ((state >> 8) & 0x00ff_ffe0),
                1 => 0x9000_0000 | ((state >> 4) & 0x60ff_ffff),
                _ => state.rotate_left(11),
            }
        })
        .take(2000)
        .collect();
        let code = bytes(&words);
        assert_eq!(Arm64.decode(&code, address).count(), words.len());
        for word in code.chunks(4) {
            Arm64.writes(word);
            Arm64.text(word, address);
        }
    }
}
