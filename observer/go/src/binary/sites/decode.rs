//! A function's instructions, and the questions asked of them.

use std::collections::BTreeSet;

use iced_x86::{
    Code as Opcode, Decoder, DecoderOptions, FlowControl, Formatter, Instruction,
    InstructionInfoFactory, IntelFormatter, Mnemonic, OpAccess, OpKind, Register,
};

use super::super::Function;
use super::emulation::{Handling, handling};

/// Longest code that is looked at: the runtime's own functions stay below 16 KiB.
const MAX_CODE: usize = 64 << 10;
/// The tail that calls `morestack` saves and restores at most nine integer
/// and fifteen float registers around the call.
const MAX_MORESTACK_TAIL: usize = 64;

/// As far as is looked back for what leads to an instruction.
const MAX_STRAIGHT_LINE: usize = 32;

/// A decoded function.
pub(super) struct Code<'a> {
    pub(super) function: &'a Function,
    pub(super) instructions: Vec<Instruction>,
    /// Addresses that a direct branch inside the function goes to.
    targets: BTreeSet<u64>,
}

impl<'a> Code<'a> {
    /// Decodes from the first instruction to the first byte that is none.
    pub(super) fn new(function: &'a Function) -> Self {
        let code = &function.code[..function.code.len().min(MAX_CODE)];
        let mut decoder = Decoder::with_ip(64, code, function.address, DecoderOptions::NONE);
        let mut instructions = Vec::new();
        while decoder.can_decode() {
            let instruction = decoder.decode();
            if instruction.is_invalid() {
                break;
            }
            instructions.push(instruction);
        }
        let targets = instructions
            .iter()
            .filter(|i| !i.is_call_near())
            .filter_map(branch_target)
            .collect();
        Self {
            function,
            instructions,
            targets,
        }
    }

    /// The bytes of instruction `index`.
    pub(super) fn bytes(&self, index: usize) -> &'a [u8] {
        let instruction = &self.instructions[index];
        let start = instruction.ip().wrapping_sub(self.function.address) as usize;
        &self.function.code[start..start + instruction.len()]
    }

    /// How the kernel gets past instruction `index`.
    pub(super) fn handling(&self, index: usize) -> Handling {
        handling(self.bytes(index))
    }

    /// Instruction `index` in Intel's notation.
    pub(super) fn text(&self, index: usize) -> String {
        let mut formatter = IntelFormatter::new();
        let options = formatter.options_mut();
        options.set_hex_prefix("0x");
        options.set_hex_suffix("");
        options.set_space_after_operand_separator(true);
        options.set_branch_leading_zeros(false);
        options.set_rip_relative_addresses(false);
        let mut text = String::new();
        formatter.format(&self.instructions[index], &mut text);
        text
    }

    /// Whether something jumps to instruction `index`.
    pub(super) fn is_target(&self, index: usize) -> bool {
        self.targets.contains(&self.instructions[index].ip())
    }

    /// Indices of the direct calls to `address`.
    pub(super) fn calls(&self, address: u64) -> impl Iterator<Item = usize> {
        self.instructions
            .iter()
            .enumerate()
            .filter(move |(_, i)| i.is_call_near() && branch_target(i) == Some(address))
            .map(|(index, _)| index)
    }

    /// Whether a direct jump or call goes to `address`.
    pub(super) fn leads_to(&self, address: u64) -> bool {
        self.instructions
            .iter()
            .any(|i| branch_target(i) == Some(address))
    }

    /// Indices of the near returns.
    pub(super) fn returns(&self) -> impl Iterator<Item = usize> {
        self.instructions
            .iter()
            .enumerate()
            .filter(|(_, i)| i.code() == Opcode::Retnq)
            .map(|(index, _)| index)
    }

    /// The index behind the stack check: one or two conditional branches to a
    /// tail that calls `morestack` and begins the function anew. `None` where
    /// there is none.
    pub(super) fn behind_stack_check(&self) -> Option<usize> {
        let mut behind = None;
        for (index, instruction) in self.instructions.iter().enumerate().take(8) {
            match instruction.flow_control() {
                FlowControl::Next => {}
                FlowControl::ConditionalBranch if self.is_morestack(branch_target(instruction)) => {
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
    fn is_morestack(&self, target: Option<u64>) -> bool {
        let Some(start) = target.and_then(|target| self.index_of(target)) else {
            return false;
        };
        let mut calls = 0;
        for instruction in self.instructions[start..].iter().take(MAX_MORESTACK_TAIL) {
            match instruction.flow_control() {
                FlowControl::Next => {}
                FlowControl::Call => calls += 1,
                FlowControl::UnconditionalBranch => {
                    return calls == 1 && branch_target(instruction) == Some(self.function.address);
                }
                _ => return false,
            }
        }
        false
    }

    /// The instruction at this address.
    fn index_of(&self, address: u64) -> Option<usize> {
        self.instructions
            .binary_search_by_key(&address, Instruction::ip)
            .ok()
    }

    /// An instruction on the straight line that leads to `index`, as far before
    /// it as is looked: whatever executes one of them executes them all, once.
    pub(super) fn block_start(&self, index: usize) -> usize {
        let mut start = index;
        while start > index.saturating_sub(MAX_STRAIGHT_LINE)
            && !self.is_target(start)
            && self.instructions[start - 1].flow_control() == FlowControl::Next
        {
            start -= 1;
        }
        start
    }

    /// Indices of locked instructions on the variable at `address`, named by
    /// the instruction itself or by a `lea` before it on the same straight line.
    pub(super) fn locked(&self, address: u64) -> Vec<usize> {
        (0..self.instructions.len())
            .filter(|&index| {
                let instruction = &self.instructions[index];
                instruction.has_lock_prefix() && self.address_of(index) == Some(address)
            })
            .collect()
    }

    /// The address of the memory operand of instruction `index`, where it is known.
    fn address_of(&self, index: usize) -> Option<u64> {
        let instruction = &self.instructions[index];
        if instruction.is_ip_rel_memory_operand() {
            return Some(instruction.ip_rel_memory_address());
        }
        let base = instruction.memory_base();
        if base == Register::None
            || instruction.memory_index() != Register::None
            || instruction.memory_displacement64() != 0
        {
            return None;
        }
        let mut factory = InstructionInfoFactory::new();
        for before in (self.block_start(index)..index).rev() {
            let before = &self.instructions[before];
            if writes(&mut factory, before).contains(&base) {
                return (before.mnemonic() == Mnemonic::Lea && before.is_ip_rel_memory_operand())
                    .then(|| before.ip_rel_memory_address());
            }
        }
        None
    }

    /// `mov [rip+x], register` and `mov register, [rip+x]`.
    pub(super) fn moves(&self) -> impl Iterator<Item = Move> {
        self.instructions
            .iter()
            .enumerate()
            .filter(|(_, i)| i.mnemonic() == Mnemonic::Mov && i.is_ip_rel_memory_operand())
            .filter_map(|(index, i)| {
                let (register, stores) = match (i.op0_kind(), i.op1_kind()) {
                    (OpKind::Memory, OpKind::Register) => (i.op1_register(), true),
                    (OpKind::Register, OpKind::Memory) => (i.op0_register(), false),
                    _ => return None,
                };
                Some(Move {
                    index,
                    address: i.ip_rel_memory_address(),
                    register,
                    stores,
                })
            })
    }

    /// Addresses that instructions with this mnemonic name relative to RIP.
    pub(super) fn addresses(&self, mnemonic: Mnemonic) -> impl Iterator<Item = u64> {
        self.instructions
            .iter()
            .filter(move |i| i.mnemonic() == mnemonic && i.is_ip_rel_memory_operand())
            .map(Instruction::ip_rel_memory_address)
    }
}

/// A move between a variable and a register.
#[derive(Clone, Copy)]
pub(super) struct Move {
    /// Which instruction.
    pub(super) index: usize,
    /// The variable's address.
    pub(super) address: u64,
    /// The register.
    pub(super) register: Register,
    /// Whether the variable is written.
    pub(super) stores: bool,
}

/// Where a direct near branch or call goes.
pub(super) fn branch_target(instruction: &Instruction) -> Option<u64> {
    matches!(
        instruction.op0_kind(),
        OpKind::NearBranch64 | OpKind::NearBranch32 | OpKind::NearBranch16
    )
    .then(|| instruction.near_branch_target())
}

/// The full registers that the instruction writes or may write.
pub(super) fn writes(
    factory: &mut InstructionInfoFactory,
    instruction: &Instruction,
) -> Vec<Register> {
    factory
        .info(instruction)
        .used_registers()
        .iter()
        .filter(|used| !matches!(used.access(), OpAccess::Read | OpAccess::CondRead))
        .map(|used| used.register().full_register())
        .collect()
}
