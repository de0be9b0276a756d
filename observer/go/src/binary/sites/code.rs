//! A function's instructions, and the questions asked of them.

use std::collections::BTreeSet;

use super::super::Function;
use super::super::isa::{Access, Flow, Instruction, InstructionSet, Operation, Place, Registers};

/// Longest code that is looked at: the runtime's own functions stay below 16 KiB.
const MAX_CODE: usize = 64 << 10;
/// The tail that calls `morestack` saves and restores at most nine integer
/// and fifteen float registers around the call.
const MAX_MORESTACK_TAIL: usize = 64;

/// As far as is looked back for what leads to an instruction.
const MAX_STRAIGHT_LINE: usize = 32;

/// A decoded function.
pub(super) struct Code<'a> {
    isa: &'static dyn InstructionSet,
    pub(super) function: &'a Function,
    pub(super) instructions: Vec<Instruction>,
    /// Addresses that a direct branch inside the function goes to.
    targets: BTreeSet<u64>,
}

impl<'a> Code<'a> {
    /// Decodes from the first instruction to the first byte that is none.
    pub(super) fn new(isa: &'static dyn InstructionSet, function: &'a Function) -> Self {
        let code = &function.code[..function.code.len().min(MAX_CODE)];
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
    fn index_of(&self, address: u64) -> Option<usize> {
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
    fn variable(&self, index: usize, access: &Access) -> Option<u64> {
        let base = match access.place {
            Place::Fixed(address) => return Some(address),
            Place::Behind(base) => base,
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
            .filter_map(|(index, it)| {
                let access = it.access?;
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
