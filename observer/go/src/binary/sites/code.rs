//! A function's instructions, and the questions asked of them.

use std::collections::BTreeSet;

use super::super::FunctionCode;
use super::super::isa::{
    Access, Flow, Instruction, InstructionSet, OperandAddress, Operation, Registers,
};

/// Longest code that is looked at: the runtime's own functions stay below 16 KiB.
const MAX_CODE_BYTES: usize = 64 << 10;
/// The tail that calls `morestack` saves and restores at most sixteen integer
/// and sixteen float registers around the call.
const MAX_MORESTACK_TAIL: usize = 72;

/// As far as is looked back for what leads to an instruction.
pub(super) const MAX_STRAIGHT_LINE: usize = 32;

/// A decoded function.
pub(super) struct Code<'a> {
    isa: &'static dyn InstructionSet,
    pub(super) function: &'a FunctionCode,
    pub(super) instructions: Vec<Instruction>,
    /// Addresses that a direct branch inside the function goes to.
    targets: BTreeSet<u64>,
}

impl<'a> Code<'a> {
    /// Decodes from the first instruction to the first byte that is none.
    pub(super) fn new(isa: &'static dyn InstructionSet, function: &'a FunctionCode) -> Self {
        let code = &function.code[..function.code.len().min(MAX_CODE_BYTES)];
        let decoded = isa.decode(code, function.address);
        let instructions: Vec<Instruction> = decoded.map_while(|it| it).collect();
        let targets = instructions
            .iter()
            .filter_map(|instruction| match instruction.flow {
                Flow::Jump(target) | Flow::Conditional(target) => Some(target),
                _ => None,
            })
            .collect();
        Self {
            isa,
            function,
            instructions,
            targets,
        }
    }

    /// The bytes of instruction `index`.
    fn bytes(&self, index: usize) -> &'a [u8] {
        let instruction = &self.instructions[index];
        let start = instruction.address.wrapping_sub(self.function.address) as usize;
        &self.function.code[start..start + instruction.length]
    }

    /// The registers that instruction `index` writes or may write.
    pub(super) fn writes(&self, index: usize) -> Registers {
        self.isa.writes(self.bytes(index))
    }

    /// How far the stack pointer has moved from the entry to before instruction `index`, on
    /// the straight line that leads there.
    pub(super) fn stack_moved(&self, index: usize) -> Option<i32> {
        (0..index).try_fold(0_i32, |moved, index| {
            moved.checked_add(self.isa.moves_stack(self.bytes(index))?)
        })
    }

    /// Instruction `index`, for people.
    pub(super) fn text(&self, index: usize) -> String {
        let address = self.instructions[index].address;
        self.isa.text(self.bytes(index), address)
    }

    /// Whether something jumps to instruction `index`.
    pub(super) fn is_target(&self, index: usize) -> bool {
        self.targets.contains(&self.instructions[index].address)
    }

    /// Indices of the direct calls to `address`.
    pub(super) fn calls(&self, address: u64) -> impl Iterator<Item = usize> {
        self.instructions
            .iter()
            .enumerate()
            .filter(move |(_, it)| it.flow == Flow::Call(address))
            .map(|(index, _)| index)
    }

    /// Whether a direct jump or call goes to `address`.
    pub(super) fn leads_to(&self, address: u64) -> bool {
        self.instructions
            .iter()
            .any(|it| it.flow.target() == Some(address))
    }

    /// Indices of the returns.
    pub(super) fn returns(&self) -> impl Iterator<Item = usize> {
        self.instructions
            .iter()
            .enumerate()
            .filter(|(_, it)| it.flow == Flow::Return)
            .map(|(index, _)| index)
    }

    /// The index behind the stack check: one or two conditional branches to a
    /// tail that calls `morestack` and begins the function anew. `None` where
    /// there is none.
    pub(super) fn behind_stack_check(&self) -> Option<usize> {
        let mut behind = None;
        for (index, instruction) in self.instructions.iter().enumerate().take(8) {
            match instruction.flow {
                Flow::Next => {}
                Flow::Conditional(target) if self.is_morestack(target) => {
                    behind = Some(index + 1);
                }
                _ => break,
            }
        }
        behind
    }

    /// Whether the code at `target` makes one call and then jumps to the
    /// function's first instruction. Exactly one: a call of `throw`, which
    /// does not return, may stand right before the tail.
    fn is_morestack(&self, target: u64) -> bool {
        let Some(start) = self.index_of(target) else {
            return false;
        };
        let mut calls = 0;
        for instruction in self.instructions[start..].iter().take(MAX_MORESTACK_TAIL) {
            match instruction.flow {
                Flow::Next => {}
                Flow::Call(_) => calls += 1,
                Flow::Jump(target) => return calls == 1 && target == self.function.address,
                _ => return false,
            }
        }
        false
    }

    /// The instruction at this address.
    pub(super) fn index_of(&self, address: u64) -> Option<usize> {
        self.instructions
            .binary_search_by_key(&address, |it| it.address)
            .ok()
    }

    /// An instruction on the straight line that leads to `index`, as far before
    /// it as is looked: whatever executes one of them executes them all, once.
    pub(super) fn block_start(&self, index: usize) -> usize {
        let mut start = index;
        while start > index.saturating_sub(MAX_STRAIGHT_LINE)
            && !self.is_target(start)
            && self.instructions[start - 1].flow == Flow::Next
        {
            start -= 1;
        }
        start
    }

    /// The atomic instructions on the variable at `address`, and what they do. The
    /// instruction itself names the variable, or one before it on the same straight
    /// line takes its address.
    pub(super) fn atomic(&self, address: u64) -> Vec<(usize, Operation)> {
        let accesses = self.instructions.iter().enumerate();
        accesses
            .filter_map(|(index, it)| Some((index, it.access.filter(|access| access.atomic)?)))
            .filter(|(index, access)| self.variable(*index, access) == Some(address))
            .map(|(index, access)| (index, access.operation))
            .collect()
    }

    /// The variable that instruction `index` has this access to, where it is known.
    pub(super) fn variable(&self, index: usize, access: &Access) -> Option<u64> {
        let base = match access.place {
            OperandAddress::Fixed(address) => return Some(address),
            OperandAddress::Behind(base) => base,
        };
        let mut before = (self.block_start(index)..index).rev();
        let writer = before.find(|&before| self.writes(before).contains(base))?;
        let taken = self.instructions[writer].access?;
        (taken.operation == Operation::Address)
            .then(|| taken.variable())
            .flatten()
    }

    /// The instructions that name a variable by its address.
    pub(super) fn mentions(&self) -> impl Iterator<Item = Mention> {
        self.instructions
            .iter()
            .enumerate()
            .flat_map(|(index, it)| it.accesses().map(move |access| (index, access)))
            .filter_map(|(index, access)| {
                Some(Mention {
                    index,
                    address: access.variable()?,
                    access,
                })
            })
    }

    /// The addresses that instructions with this operation name.
    pub(super) fn addresses(&self, operation: Operation) -> impl Iterator<Item = u64> {
        self.mentions()
            .filter(move |mention| mention.access.operation == operation)
            .map(|mention| mention.address)
    }
}

/// An instruction that names a variable.
#[derive(Clone, Copy)]
pub(super) struct Mention {
    /// Which instruction.
    pub(super) index: usize,
    /// The variable's address.
    pub(super) address: u64,
    /// What the instruction does with it.
    pub(super) access: Access,
}

#[cfg(test)]
mod tests {
    use super::super::super::isa::toy::{Toy, function, variable};
    use super::{Code, Operation};

    fn atomic(code: &str, number: u8) -> Vec<(usize, Operation)> {
        let function = function(code);
        Code::new(&Toy, &function).atomic(variable(number))
    }

    fn behind_stack_check(code: &str) -> Option<usize> {
        let function = function(code);
        Code::new(&Toy, &function).behind_stack_check()
    }

    #[test]
    fn the_variable_of_an_atomic_instruction() {
        assert_eq!(atomic("s0 a3 r0", 3), [(1, Operation::Add)]);
        assert_eq!(atomic("s0 a3 r0", 4), []);
        assert_eq!(
            atomic("o3 a3", 3),
            [(0, Operation::Other), (1, Operation::Add)]
        );
        assert_eq!(atomic("t3 s0 b0 r0", 3), [(2, Operation::FetchAdd)]);
    }

    #[test]
    fn the_register_may_hold_another_address() {
        // Written again, jumped to, called in between, and never written.
        for code in ["t3 w0 b0", "t3 s0 b0 j2", "t3 l1 b0", "t3 b1"] {
            assert_eq!(atomic(code, 3), [], "{code}");
        }
        assert_eq!(atomic("t4 t3 b0", 3).len(), 1);
    }

    #[test]
    fn a_stack_check_calls_once_and_begins_anew() {
        assert_eq!(behind_stack_check("s0 c3 r0 s0 l1 s0 j0"), Some(2));
        assert_eq!(behind_stack_check("c5 s0 c5 e0 r0 l1 j0"), Some(3));
        assert_eq!(behind_stack_check("c2 r0 l1 l1 j0"), None);
        assert_eq!(behind_stack_check("c2 r0 s0 j0"), None);
        assert_eq!(behind_stack_check("c2 r0 l1 j1"), None);
        assert_eq!(behind_stack_check("c2 r0 i0 l1 j0"), None);
        assert_eq!(behind_stack_check("c9 r0"), None);
        assert_eq!(behind_stack_check("e0 l1 c5 r0 r0 l1 j0"), None);
    }

    #[test]
    fn how_far_the_stack_moved() {
        let moved = |code: &str, index| {
            let function = function(code);
            Code::new(&Toy, &function).stack_moved(index)
        };
        assert_eq!(moved("s0 p2 s0 p1 r0", 0), Some(0));
        assert_eq!(moved("s0 p2 s0 p1 r0", 1), Some(0));
        assert_eq!(moved("s0 p2 s0 p1 r0", 4), Some(-24));
        assert_eq!(moved("s0 p2 w0 p1 r0", 4), None);
    }

    #[test]
    fn who_goes_where() {
        let function = function("l5 j3 l5 r0 l6 r0");
        let code = Code::new(&Toy, &function);
        assert_eq!(code.calls(5).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(code.returns().collect::<Vec<_>>(), [3, 5]);
        assert!(code.leads_to(6) && !code.leads_to(7));
        assert!(code.is_target(3) && !code.is_target(2));
        assert_eq!(code.text(1), "j3");
    }

    #[test]
    fn what_is_behind_no_instruction_is_not_known() {
        let function = function("e0 s0 ?? r0");
        assert_eq!(Code::new(&Toy, &function).instructions.len(), 2);
    }
}
