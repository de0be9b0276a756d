//! What assembled instructions say of themselves.

use super::super::{
    Access, Flow, Handling, Instruction, InstructionSet, OperandAddress, Operation, Registers,
};
use super::{R14, RAX, RBX, RCX, RDI, X86_64};

const AT: u64 = 0x40_1000;

fn decoded(code: &[u8]) -> Vec<Option<Instruction>> {
    X86_64.decode(code, AT).collect()
}

/// The only instruction.
fn one(code: &[u8]) -> Instruction {
    match decoded(code)[..] {
        [Some(instruction)] => {
            assert_eq!(instruction.address, AT);
            assert_eq!(instruction.length, code.len());
            instruction
        }
        ref other => panic!("{code:02x?}: {other:?}"),
    }
}

#[test]
fn what_is_executed_next() {
    for (code, flow) in [
        (&[0x55][..], Flow::Next),                                     // push rbp
        (&[0x90], Flow::Next),                                         // nop
        (&[0x49, 0x3b, 0x66, 0x10], Flow::Next),                       // cmp rsp, [r14+0x10]
        (&[0xe8, 0xfb, 0, 0, 0], Flow::Call(AT + 0x100)),              // call
        (&[0xeb, 0xfe], Flow::Jump(AT)),                               // jmp short, to itself
        (&[0xe9, 0xfb, 0xff, 0xff, 0xff], Flow::Jump(AT)),             // jmp
        (&[0x76, 0x0e], Flow::Conditional(AT + 0x10)),                 // jbe short
        (&[0x0f, 0x86, 0xfa, 0, 0, 0], Flow::Conditional(AT + 0x100)), // jbe
        (&[0xe3, 0x0e], Flow::Conditional(AT + 0x10)),                 // jrcxz
        (&[0xc7, 0xf8, 0x0a, 0, 0, 0], Flow::Conditional(AT + 0x10)),  // xbegin
        (&[0xc3], Flow::Return),                                       // ret
        (&[0xc2, 8, 0], Flow::Elsewhere),                              // ret 8
        (&[0xcb], Flow::Elsewhere),                                    // retf
        (&[0xff, 0xd0], Flow::Elsewhere),                              // call rax
        (&[0xff, 0x12], Flow::Elsewhere),                              // call [rdx]
        (&[0xff, 0xe0], Flow::Elsewhere),                              // jmp rax
        (&[0x0f, 0x05], Flow::Elsewhere),                              // syscall
        (&[0x0f, 0x0b], Flow::Elsewhere),                              // ud2
        (&[0xcc], Flow::Elsewhere),                                    // int3
    ] {
        assert_eq!(one(code).flow, flow, "{code:02x?}");
    }
}

#[test]
fn where_a_branch_goes() {
    for (flow, target) in [
        (Flow::Jump(1), Some(1)),
        (Flow::Conditional(2), Some(2)),
        (Flow::Call(3), Some(3)),
        (Flow::Next, None),
        (Flow::Return, None),
        (Flow::Elsewhere, None),
    ] {
        assert_eq!(flow.target(), target);
    }
}

/// Operation, width, and constant of an instruction that names a variable.
#[test]
fn what_is_done_to_a_variable() {
    use Operation as O;
    for (code, operation, width, constant) in [
        // lea rcx, [rip+0x100]
        (&[0x48, 0x8d, 0x0d, 0, 1, 0, 0][..], O::Address, 0, None),
        // mov rax, [rip+0x100]; mov eax, [rip+0x100]
        (&[0x48, 0x8b, 0x05, 0, 1, 0, 0], O::Load(RAX), 8, None),
        (&[0x8b, 0x05, 0, 1, 0, 0], O::Load(RAX), 4, None),
        // mov [rip+0x100], rbx; mov [rip+0x100], cl; mov [rip+0x100], r14
        (&[0x48, 0x89, 0x1d, 0, 1, 0, 0], O::Store(RBX), 8, None),
        (&[0x88, 0x0d, 0, 1, 0, 0], O::Store(RCX), 1, None),
        (&[0x4c, 0x89, 0x35, 0, 1, 0, 0], O::Store(R14), 8, None),
        // mov dword [rip+0x100], 10000; the same of a qword
        (
            &[0xc7, 0x05, 0, 1, 0, 0, 0x10, 0x27, 0, 0],
            O::Set,
            4,
            Some(10_000),
        ),
        (
            &[0x48, 0xc7, 0x05, 0, 1, 0, 0, 0x10, 0x27, 0, 0],
            O::Set,
            8,
            Some(10_000),
        ),
        // inc dword [rip+0x100]; dec qword [rip+0x100]
        (&[0xff, 0x05, 0, 1, 0, 0], O::Increment, 4, None),
        (&[0x48, 0xff, 0x0d, 0, 1, 0, 0], O::Subtract, 8, None),
        // add [rip+0x100], rax; add rax, [rip+0x100]; add qword [rip+0x100], -1
        (&[0x48, 0x01, 0x05, 0, 1, 0, 0], O::Add, 8, None),
        (&[0x48, 0x03, 0x05, 0, 1, 0, 0], O::Add, 8, None),
        (
            &[0x48, 0x83, 0x05, 0, 1, 0, 0, 0xff],
            O::Add,
            8,
            Some(u64::MAX),
        ),
        // sub [rip+0x100], rax
        (&[0x48, 0x29, 0x05, 0, 1, 0, 0], O::Subtract, 8, None),
        // xchg [rip+0x100], rcx
        (&[0x48, 0x87, 0x0d, 0, 1, 0, 0], O::Exchange, 8, None),
        // cmp dword [rip+0x100], 10000; cmp dword [rip+0x100], 0
        (
            &[0x81, 0x3d, 0, 1, 0, 0, 0x10, 0x27, 0, 0],
            O::Other,
            4,
            Some(10_000),
        ),
        (&[0x83, 0x3d, 0, 1, 0, 0, 0], O::Other, 4, Some(0)),
    ] {
        let place = OperandAddress::Fixed(AT + code.len() as u64 + 0x100);
        let atomic = false;
        let access = Access {
            place,
            operation,
            width,
            atomic,
            constant,
        };
        assert_eq!(one(code).access, Some(access), "{code:02x?}");
    }
}

#[test]
fn what_happens_as_a_whole() {
    use Operation as O;
    for (code, place, operation) in [
        // lock xadd [rip+0x100], rcx
        (
            &[0xf0, 0x48, 0x0f, 0xc1, 0x0d, 0, 1, 0, 0][..],
            OperandAddress::Fixed(AT + 0x109),
            O::FetchAdd,
        ),
        // lock xadd [rcx], rdi; lock inc qword [rbx]; lock add [rax], rcx
        (
            &[0xf0, 0x48, 0x0f, 0xc1, 0x39],
            OperandAddress::Behind(RCX),
            O::FetchAdd,
        ),
        (
            &[0xf0, 0x48, 0xff, 0x03],
            OperandAddress::Behind(RBX),
            O::Increment,
        ),
        (
            &[0xf0, 0x48, 0x01, 0x08],
            OperandAddress::Behind(RAX),
            O::Add,
        ),
        // lock cmpxchg [rdi], rcx; lock or byte [rax], 1
        (
            &[0xf0, 0x48, 0x0f, 0xb1, 0x0f],
            OperandAddress::Behind(RDI),
            O::Other,
        ),
        (
            &[0xf0, 0x80, 0x08, 1],
            OperandAddress::Behind(RAX),
            O::Other,
        ),
    ] {
        let instruction = one(code);
        let access = instruction.access.expect("an access");
        assert!(access.atomic, "{code:02x?}");
        assert_eq!(
            (access.place, access.operation),
            (place, operation),
            "{code:02x?}"
        );
        assert_eq!(
            access.variable().is_some(),
            matches!(place, OperandAddress::Fixed(_))
        );
        assert_eq!(operation.adds(), operation != O::Other);
        // The kernel lets no probe stand there.
        assert_eq!(instruction.handling, Handling::Refused);
    }
}

#[test]
fn no_variable_is_meant() {
    for code in [
        &[0x48, 0x8b, 0x41, 8][..], // mov rax, [rcx+8]
        &[0x48, 0x8b, 0x04, 0x11],  // mov rax, [rcx+rdx]
        &[0x67, 0x48, 0x8b, 0x01],  // mov rax, [ecx]
        &[0x48, 0x89, 0xc8],        // mov rax, rcx
        &[0x55],                    // push rbp
        &[0xe8, 0, 0, 0, 0],        // call
    ] {
        assert_eq!(one(code).access, None, "{code:02x?}");
    }
}

#[test]
fn what_is_written() {
    let none = Registers::NONE;
    for (code, written) in [
        (&[0x48, 0x89, 0xc8][..], none.with(RAX)),   // mov rax, rcx
        (&[0xb0, 1], none.with(RAX)),                // mov al, 1
        (&[0x48, 0x0f, 0x44, 0xd9], none.with(RBX)), // cmove rbx, rcx
        (&[0x48, 0x87, 0xd9], none.with(RCX).with(RBX)), // xchg rcx, rbx
        (&[0x4d, 0x8b, 0x36], none.with(R14)),       // mov r14, [r14]
        (&[0x48, 0x8d, 0x3d, 0, 1, 0, 0], none.with(RDI)), // lea rdi, [rip+0x100]
        (&[0x48, 0x89, 0x08], none),                 // mov [rax], rcx
        (&[0x48, 0x39, 0xc8], none),                 // cmp rax, rcx
        (&[0x0f, 0x28, 0xc1], none),                 // movaps xmm0, xmm1
    ] {
        assert_eq!(X86_64.writes(code), written, "{code:02x?}");
    }
}

#[test]
fn where_go_keeps_what() {
    let arguments: Vec<_> = (0..5).filter_map(|place| X86_64.argument(place)).collect();
    assert_eq!(arguments[..4], [RAX, RBX, RCX, RDI]);
    assert_eq!(X86_64.argument(9), None);
    assert_eq!(X86_64.registers_since(), 17);
    let four: Registers = arguments.into_iter().take(4).collect();
    assert!([RAX, RBX, RCX, RDI].iter().all(|&it| four.contains(it)));
    assert!(!four.contains(R14) && !four.overlaps(Registers::NONE.with(R14)));
    assert_eq!(X86_64.goroutine(), R14);
}

#[test]
fn what_the_kernel_does() {
    let handling = |code| one(code).handling;
    let push = handling(&[0x55]);
    let nop = handling(&[0x90]);
    let call = handling(&[0xe8, 0, 0, 0, 0]);
    let stepped = handling(&[0x48, 0x83, 0xec, 0x40]);
    let refused = handling(&[0x0f, 0x05]);
    assert!(push < nop && nop < call && call < stepped && stepped < refused);
    assert!(push.is_emulated() && nop.is_emulated() && call.is_emulated());
    assert_eq!(
        (stepped, refused),
        (Handling::SingleStep, Handling::Refused)
    );
}

#[test]
fn people_read_absolute_addresses() {
    for (code, text) in [
        (&[0x55][..], "push rbp"),
        (&[0xe8, 0xfb, 0, 0, 0], "call 0x401100"),
        (&[0x76, 0x0e], "jbe short 0x401010"),
        (&[0x48, 0x83, 0xec, 0x40], "sub rsp, 0x40"),
        (&[0x48, 0x8d, 0x0d, 0, 1, 0, 0], "lea rcx, [0x401107]"),
    ] {
        assert_eq!(X86_64.text(code, AT), text);
    }
}

#[test]
fn decoding_goes_on_behind_what_is_no_instruction() {
    // `push es`, which 64-bit code does not have, among nops. How many bytes
    // it takes along is the decoder's affair.
    let mut code = [0x90; 20];
    code[1] = 0x06;
    let found = decoded(&code);
    assert_eq!(found.iter().filter(|it| it.is_none()).count(), 1);
    assert!(
        matches!(found[..], [Some(_), None, Some(_), ..]),
        "{found:?}"
    );
    let last = found.last().copied().flatten().expect("an instruction");
    assert_eq!(last.address, AT + 19);
}

#[test]
fn what_is_cut_is_no_instruction() {
    assert_eq!(decoded(&[]), []);
    assert_eq!(decoded(&[0xe8, 0, 0]), [None]);
    let found = decoded(&[0x55, 0x48]);
    assert!(matches!(found[..], [Some(_), None]), "{found:?}");
}
