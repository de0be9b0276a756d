//! Which instruction of a function a probe stands on.

use super::super::isa::{Flow, Handling, Registers};
use super::code::Code;

/// Where a site behind a function's entry may be.
#[derive(Clone, Copy)]
pub(super) struct FunctionEntry {
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
pub(super) fn at_entry(code: &Code, entry: FunctionEntry) -> Option<usize> {
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

#[cfg(test)]
mod tests {
    use super::super::super::isa::{
        Registers,
        toy::{Toy, function, register},
    };
    use super::{Code, FunctionEntry};

    const NO_MATTER: Registers = Registers::NONE;

    fn at_entry(code: &str, intact: Registers, growable: bool) -> Option<usize> {
        let function = function(code);
        super::at_entry(
            &Code::new(&Toy, &function),
            FunctionEntry { intact, growable },
        )
    }

    fn before(code: &str, index: usize) -> Option<usize> {
        let function = function(code);
        super::before(&Code::new(&Toy, &function), index)
    }

    #[test]
    fn the_cheapest_up_to_the_first_branch() {
        assert_eq!(at_entry("s0 f0 e0 e0 r0", NO_MATTER, false), Some(2));
        assert_eq!(at_entry("s0 s0 l1 e0 r0", NO_MATTER, false), Some(2));
        assert_eq!(at_entry("x0 s0 r0", NO_MATTER, false), Some(1));
        assert_eq!(at_entry("x0 i0 e0", NO_MATTER, false), None);
        assert_eq!(at_entry("", NO_MATTER, false), None);
    }

    #[test]
    fn what_is_jumped_to_may_be_executed_more_often() {
        assert_eq!(at_entry("s0 e0 r0", NO_MATTER, false), Some(1));
        assert_eq!(at_entry("s0 e0 j1", NO_MATTER, false), Some(0));
    }

    #[test]
    fn registers_still_hold_what_the_caller_put_there() {
        let intact = Registers::NONE.with(register(1));
        assert_eq!(at_entry("w1 e0 r0", intact, false), Some(0));
        assert_eq!(at_entry("w2 e0 r0", intact, false), Some(1));
        assert_eq!(at_entry("w1 e0 r0", NO_MATTER, false), Some(1));
    }

    #[test]
    fn a_stack_that_grows_is_checked_first() {
        let code = "e0 c4 s0 r0 l1 j0";
        assert_eq!(at_entry(code, NO_MATTER, false), Some(0));
        assert_eq!(at_entry(code, NO_MATTER, true), Some(2));
        // What jumps to the entry here is no check.
        assert_eq!(at_entry("e0 s0 c0 r0", NO_MATTER, true), None);
    }

    #[test]
    fn as_often_as_another_and_not_after_it() {
        assert_eq!(before("e0 l1 e0 s0 a3 e0", 4), Some(2));
        assert_eq!(before("e0 e0 s0 a3 j2", 3), Some(2));
        assert_eq!(before("e0 l1 a3 e0", 2), None);
        assert_eq!(before("e0 a3", 1), Some(0));
    }
}
