//! Constants that lie among a function's instructions.

use farm64::{Instruction as Decoded, Operand};

/// Takes out of a function that begins at `start` what its instructions load as constants:
/// it may look like instructions, but nothing executes it, and a probe there would change
/// the constant.
pub(super) fn take_out(words: &mut [Option<Decoded>], start: u64) {
    let loaded: Vec<(u64, u64)> = words.iter().flatten().filter_map(literal).collect();
    for (address, size) in loaded {
        let first = address.wrapping_sub(start) / 4;
        for index in first..first.saturating_add(size / 4) {
            if let Some(word) = words.get_mut(index as usize) {
                *word = None;
            }
        }
    }
}

/// Where the constant is that the instruction loads, and how many bytes it has.
fn literal(decoded: &Decoded) -> Option<(u64, u64)> {
    let size = match decoded.word() >> 24 {
        // ldr w, ldrsw, ldr s
        0x18 | 0x98 | 0x1c => 4,
        // ldr x, ldr d
        0x58 | 0x5c => 8,
        // ldr q
        0x9c => 16,
        _ => return None,
    };
    match decoded.op(1) {
        Operand::Label(address) => Some((address, size)),
        _ => None,
    }
}
