//! Which instruction of a function a probe stands on.

use super::super::isa::{Flow, Handling, Registers};
use super::code::Code;

/// Where a site behind a function's entry may be.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// Registers that must still hold what the caller put there.
    pub(super) intact: Registers,
    /// Whether the function runs on a goroutine's stack. When that grows the
    /// function is entered again, so only what is behind the check counts
    /// once. The stack g0 never grows.
    pub(super) growable: bool,
}

/// The cheapest instruction that is executed exactly once per call: on the
/// straight line from the entry up to and with the first branch or call that
/// is not the stack check's.
pub(super) fn at_entry(code: &Code, entry: Entry) -> Option<usize> {
    let behind_check = code.behind_stack_check();
    let first = match behind_check {
        Some(behind) if entry.growable => behind,
        // Something jumps back to the entry, and not from a stack check.
        None if entry.growable && !code.instructions.is_empty() && code.is_target(0) => {
            return None;
        }
        _ => 0,
    };
    let mut best = None;
    for (index, instruction) in code.instructions.iter().enumerate() {
        if index > 0 && code.is_target(index) {
            break;
        }
        if index >= first {
            best = cheaper(best, instruction.handling, index);
        }
        let in_check = behind_check.is_some_and(|behind| index < behind);
        if instruction.flow != Flow::Next && !in_check {
            break;
        }
        if code.writes(index).overlaps(entry.intact) {
            break;
        }
    }
    best.map(|(_, index)| index)
}

/// The cheapest instruction that is executed exactly as often as instruction
/// `index`, and not after it.
pub(super) fn before(code: &Code, index: usize) -> Option<usize> {
    let mut best = None;
    for candidate in code.block_start(index)..=index {
        best = cheaper(best, code.instructions[candidate].handling, candidate);
    }
    best.map(|(_, index)| index)
}

fn cheaper(
    best: Option<(Handling, usize)>,
    handling: Handling,
    index: usize,
) -> Option<(Handling, usize)> {
    if handling == Handling::Refused {
        return best;
    }
    match best {
        Some((cheapest, _)) if cheapest <= handling => best,
        _ => Some((handling, index)),
    }
}
