//! On which way an instruction is reached.
//!
//! Where a processor may lack atomic instructions, Go compiles two ways to do the same, and
//! a branch that decides.

use super::super::isa::Flow;
use super::code::{Code, MAX_STRAIGHT_LINE};

/// As far behind an instruction may be what tries it again.
const MAX_RETRY: usize = 4;

/// The only way to an instruction: a branch, and from it a straight line.
#[derive(Clone, Copy)]
struct Way {
    branch: usize,
    /// Whether the branch is taken.
    is_jump: bool,
}

/// The branch that leads to one of two instructions and is the only way to both: whatever
/// executes it executes exactly one of them.
pub(super) fn fork(code: &Code, one: usize, other: usize) -> Option<usize> {
    let (one, other) = (way_to(code, one)?, way_to(code, other)?);
    (one.branch == other.branch && one.is_jump != other.is_jump).then_some(one.branch)
}

/// Whether the branch that leads to instruction `index` may as well lead to what does the
/// same: to an atomic instruction on nobody knows what.
pub(super) fn has_unknown_twin(code: &Code, index: usize) -> bool {
    let Some(other) = way_to(code, index).and_then(|way| other_side(code, way)) else {
        return false;
    };
    let behind = code.instructions.iter().enumerate().skip(other);
    for (index, instruction) in behind.take(MAX_STRAIGHT_LINE) {
        if let Some(access) = instruction.access.filter(|access| access.atomic)
            && code.variable(index, &access).is_none()
        {
            return true;
        }
        if instruction.flow != Flow::Next {
            break;
        }
    }
    false
}

/// Where the branch leads if it does not lead there.
fn other_side(code: &Code, way: Way) -> Option<usize> {
    match code.instructions[way.branch].flow {
        Flow::Conditional(_) if way.is_jump => Some(way.branch + 1),
        Flow::Conditional(target) => code.index_of(target),
        _ => None,
    }
}

fn way_to(code: &Code, index: usize) -> Option<Way> {
    let mut start = code.block_start(index);
    loop {
        let address = code.instructions[start].address;
        let mut from = jumps_to(code, address).filter(|&it| !retries(code, it, index));
        let before = start.checked_sub(1)?;
        match (from.next(), code.instructions[before].flow) {
            (None, Flow::Next) => start = code.block_start(before),
            (None, Flow::Conditional(_)) => {
                return Some(Way {
                    branch: before,
                    is_jump: false,
                });
            }
            (Some(branch), Flow::Jump(_) | Flow::Return) if from.next().is_none() => {
                return Some(Way {
                    branch,
                    is_jump: true,
                });
            }
            _ => return None,
        }
    }
}

/// Whether instruction `branch` goes back because `index`, right before it, did not succeed.
fn retries(code: &Code, branch: usize, index: usize) -> bool {
    (index + 1..=index + MAX_RETRY).contains(&branch)
        && matches!(code.instructions[branch].flow, Flow::Conditional(_))
        && code.block_start(branch) <= index
}

/// Indices of the jumps to `address`.
fn jumps_to(code: &Code, address: u64) -> impl Iterator<Item = usize> {
    let instructions = code.instructions.iter().enumerate();
    instructions
        .filter(move |(_, it)| match it.flow {
            Flow::Jump(target) | Flow::Conditional(target) => target == address,
            _ => false,
        })
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::super::super::isa::toy::{Toy, function};
    use super::Code;

    #[test]
    fn either_of_two_behind_a_branch() {
        let fork = |code: &str, one, other| {
            let function = function(code);
            super::fork(&Code::new(&Toy, &function), one, other)
        };
        assert_eq!(fork("s0 c4 a1 j6 s0 a1 r0", 2, 5), Some(1));
        assert_eq!(fork("s0 c4 a1 j6 s0 a1 r0", 5, 2), Some(1));
        // Tried again until it succeeds: behind the jump, and where nothing is jumped over.
        assert_eq!(fork("s0 c4 a1 j7 s0 a1 c4 r0", 2, 5), Some(1));
        assert_eq!(fork("s0 c5 a1 c2 r0 s0 a1 r0", 2, 6), Some(1));
        // Both on one side, another way to either of them, and two branches.
        assert_eq!(fork("s0 c4 a1 a1 r0", 2, 3), None);
        assert_eq!(fork("c5 c5 a1 j7 r0 s0 a1 r0", 2, 6), None);
        assert_eq!(fork("s0 c4 a1 s0 s0 a1 r0", 2, 5), None);
        assert_eq!(fork("s0 c4 a1 l6 s0 a1 r0", 2, 5), None);
        assert_eq!(fork("a1 r0 s0 a1 r0", 0, 3), None);
        assert_eq!(fork("c3 a1 r0 c6 a1 r0 a1 r0", 1, 6), None);
        // What comes back without a condition is no second try.
        assert_eq!(fork("s0 c4 a1 j6 s0 a1 s0 j4", 2, 5), None);
    }

    #[test]
    fn what_may_do_the_same() {
        let twin = |code: &str, index| {
            let function = function(code);
            super::has_unknown_twin(&Code::new(&Toy, &function), index)
        };
        assert!(twin("s0 c4 a1 j6 s0 b1 r0", 2));
        assert!(twin("s0 c4 b1 j6 s0 a1 r0", 5));
        // On another variable, behind another branch, and where nothing else may be done.
        assert!(!twin("s0 c4 a1 j6 s0 a2 r0", 2));
        assert!(!twin("s0 c4 a1 j6 t2 b0 r0", 2));
        assert!(!twin("s0 c4 a1 j7 l1 b1 r0 r0", 2));
        assert!(!twin("s0 a1 b1 r0", 1));
    }
}
