//! Machine code that refers to variables, as Go's compiler and assembler write it.

use crate::release::{Arch, GoVersion};

/// What code does with the variable at an address.
#[derive(Clone, Copy)]
pub(super) enum Statement {
    /// Loads eight bytes; on arm64 four, where eight would be loaded out of place.
    Load(u64),
    /// Stores eight bytes.
    Store(u64),
    /// Takes its address.
    Take(u64),
    /// Stores eight bytes of an atomic variable: arm64 can do so only at an address that it took.
    Atomic(u64),
    /// Stores this number of four bytes.
    Set(u64, u32),
    /// Loads it and the one behind it, of eight bytes each.
    Pair(u64),
}

/// The code of a function that begins at `start`.
pub(super) fn function(
    arch: Arch,
    version: GoVersion,
    start: u64,
    statements: &[Statement],
) -> Vec<u8> {
    let mut code = Vec::new();
    for statement in statements {
        match arch {
            Arch::Amd64 => x86_64(&mut code, start, *statement),
            Arch::Arm64 => arm64(&mut code, start, version, *statement),
        }
    }
    code.extend_from_slice(match arch {
        Arch::Amd64 => &[0xc3],
        Arch::Arm64 => &[0xc0, 0x03, 0x5f, 0xd6],
    });
    code
}

fn x86_64(code: &mut Vec<u8>, start: u64, statement: Statement) {
    let mut names = |opcode: &[u8], to: u64, behind: &[u8]| {
        let length = opcode.len() + 4 + behind.len();
        let next = start + (code.len() + length) as u64;
        code.extend_from_slice(opcode);
        code.extend_from_slice(&(to.wrapping_sub(next) as u32).to_le_bytes());
        code.extend_from_slice(behind);
    };
    match statement {
        Statement::Load(at) => names(&[0x48, 0x8b, 0x05], at, &[]),
        Statement::Store(at) => names(&[0x48, 0x89, 0x05], at, &[]),
        Statement::Take(at) => names(&[0x48, 0x8d, 0x05], at, &[]),
        // xchg [at], rax
        Statement::Atomic(at) => names(&[0x48, 0x87, 0x05], at, &[]),
        Statement::Set(at, number) => names(&[0xc7, 0x05], at, &number.to_le_bytes()),
        Statement::Pair(at) => {
            names(&[0x48, 0x8b, 0x05], at, &[]);
            names(&[0x48, 0x8b, 0x0d], at + 8, &[]);
        }
    }
}

/// The register in which Go's assembler forms addresses.
const TEMPORARY: u32 = 27;

fn arm64(code: &mut Vec<u8>, start: u64, version: GoVersion, statement: Statement) {
    // Until 1.18 the assembler added the rest of each address.
    let adds = version.minor <= 18;
    let mut put = |word: u32| code.extend_from_slice(&word.to_le_bytes());
    if let Statement::Set(_, number) = statement {
        // movz x1, number
        put(0xd280_0001 | (number << 5));
    }
    let (at, into) = match statement {
        Statement::Take(at) | Statement::Atomic(at) => (at, 0),
        Statement::Load(at)
        | Statement::Store(at)
        | Statement::Set(at, _)
        | Statement::Pair(at) => (at, TEMPORARY),
    };
    let within = (at & 0xfff) as u32;
    let here = start + code.len() as u64;
    let pages = ((at >> 12).wrapping_sub(here >> 12)) as u32;
    let mut put = |word: u32| code.extend_from_slice(&word.to_le_bytes());
    // adrp
    put(0x9000_0000 | ((pages & 3) << 29) | (((pages >> 2) & 0x7_ffff) << 5) | into);
    let is_pair = matches!(statement, Statement::Pair(_));
    let offset = if adds || is_pair || into != TEMPORARY {
        // add into, into, within
        put(0x9100_0000 | (within << 10) | (into << 5) | into);
        0
    } else {
        within
    };
    let base = TEMPORARY << 5;
    match statement {
        Statement::Take(_) => {}
        // stlr x1, [x0]
        Statement::Atomic(_) => put(0xc89f_fc01),
        // The offsets of this form count what is loaded: only four bytes lie between two eights.
        Statement::Load(_) if offset % 8 != 0 => put(0xb940_0000 | ((offset / 4) << 10) | base),
        Statement::Load(_) => put(0xf940_0000 | ((offset / 8) << 10) | base),
        Statement::Store(_) => put(0xf900_0000 | ((offset / 8) << 10) | base),
        Statement::Set(..) => put(0xb900_0000 | ((offset / 4) << 10) | base | 1),
        // ldp x0, x1, [base]
        Statement::Pair(_) => put(0xa940_0000 | (1 << 10) | base),
    }
}
