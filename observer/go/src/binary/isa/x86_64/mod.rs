//! x86-64, as iced-x86 decodes it. Nothing outside this folder knows that library.

mod emulation;
#[cfg(test)]
mod tests;

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Formatter, Instruction as Decoded,
    InstructionInfoFactory, IntelFormatter, Mnemonic, OpAccess, OpKind, Register as Named,
};

use super::{
    Access, Flow, Instruction, InstructionSet, OperandAddress, Operation, Register, Registers,
};
use crate::release::GoVersion;

/// The instruction set.
pub(super) struct X86_64;

// Registers have the numbers by which instructions name them.
const RAX: Register = Register::new(0);
const RCX: Register = Register::new(1);
const RBX: Register = Register::new(3);
const RSI: Register = Register::new(6);
const RDI: Register = Register::new(7);
const R8: Register = Register::new(8);
const R9: Register = Register::new(9);
const R10: Register = Register::new(10);
const R11: Register = Register::new(11);
const R14: Register = Register::new(14);

/// Where Go passes integers, the first one first.
const ARGUMENTS: [Register; 9] = [RAX, RBX, RCX, RDI, RSI, R8, R9, R10, R11];

impl InstructionSet for X86_64 {
    fn decode<'c>(
        &self,
        code: &'c [u8],
        address: u64,
    ) -> Box<dyn Iterator<Item = Option<Instruction>> + 'c> {
        let mut decoder = Decoder::with_ip(64, code, address, DecoderOptions::NONE);
        let mut found = Decoded::default();
        Box::new(std::iter::from_fn(move || {
            if !decoder.can_decode() {
                return None;
            }
            let start = decoder.position();
            decoder.decode_out(&mut found);
            let bytes = &code[start..decoder.position()];
            Some((!found.is_invalid()).then(|| instruction(&found, bytes)))
        }))
    }

    fn writes(&self, code: &[u8]) -> Registers {
        let decoded = Decoder::new(64, code, DecoderOptions::NONE).decode();
        InstructionInfoFactory::new()
            .info(&decoded)
            .used_registers()
            .iter()
            .filter(|used| !matches!(used.access(), OpAccess::Read | OpAccess::CondRead))
            .filter_map(|used| general(used.register()))
            .collect()
    }

    /// In Intel's notation.
    fn text(&self, code: &[u8], address: u64) -> String {
        let decoded = Decoder::with_ip(64, code, address, DecoderOptions::NONE).decode();
        let mut formatter = IntelFormatter::new();
        let options = formatter.options_mut();
        options.set_hex_prefix("0x");
        options.set_hex_suffix("");
        options.set_space_after_operand_separator(true);
        options.set_branch_leading_zeros(false);
        options.set_rip_relative_addresses(false);
        let mut text = String::new();
        formatter.format(&decoded, &mut text);
        text
    }

    fn argument(&self, place: usize) -> Option<Register> {
        ARGUMENTS.get(place).copied()
    }

    fn registers_since(&self) -> u16 {
        GoVersion::OLDEST_MINOR
    }

    /// Nobody asks: arguments are in registers.
    fn moves_stack(&self, _code: &[u8]) -> Option<i32> {
        None
    }

    fn goroutine(&self) -> Register {
        R14
    }
}

fn instruction(decoded: &Decoded, bytes: &[u8]) -> Instruction {
    Instruction {
        address: decoded.ip(),
        length: bytes.len(),
        flow: flow(decoded),
        access: access(decoded),
        second: None,
        handling: emulation::handling(bytes),
    }
}

fn flow(decoded: &Decoded) -> Flow {
    let direct = matches!(
        decoded.op0_kind(),
        OpKind::NearBranch64 | OpKind::NearBranch32 | OpKind::NearBranch16
    );
    let target = direct.then(|| decoded.near_branch_target());
    match (decoded.flow_control(), target) {
        (FlowControl::Next, _) => Flow::Next,
        (FlowControl::UnconditionalBranch, Some(target)) => Flow::Jump(target),
        // `xbegin` goes there if its transaction is given up.
        (FlowControl::ConditionalBranch | FlowControl::XbeginXabortXend, Some(target)) => {
            Flow::Conditional(target)
        }
        (FlowControl::Call, Some(target)) => Flow::Call(target),
        // Go has no other return. They drop arguments or change the segment.
        (FlowControl::Return, _) if decoded.code() == Code::Retnq => Flow::Return,
        _ => Flow::Elsewhere,
    }
}

fn access(decoded: &Decoded) -> Option<Access> {
    let base = decoded.memory_base();
    let place = if decoded.is_ip_rel_memory_operand() {
        OperandAddress::Fixed(decoded.ip_rel_memory_address())
    } else if base.is_gpr64()
        && decoded.memory_index() == Named::None
        && decoded.memory_displacement64() == 0
    {
        OperandAddress::Behind(general(base)?)
    } else {
        return None;
    };
    let constant = (0..decoded.op_count()).find(|&operand| {
        matches!(
            decoded.op_kind(operand),
            OpKind::Immediate8
                | OpKind::Immediate8to32
                | OpKind::Immediate8to64
                | OpKind::Immediate32
                | OpKind::Immediate32to64
        )
    });
    Some(Access {
        place,
        operation: operation(decoded),
        width: decoded.memory_size().size(),
        atomic: decoded.has_lock_prefix(),
        constant: constant.map(|operand| decoded.immediate(operand)),
    })
}

fn operation(decoded: &Decoded) -> Operation {
    match decoded.mnemonic() {
        Mnemonic::Lea => Operation::Address,
        Mnemonic::Mov => match (decoded.op0_kind(), decoded.op1_kind()) {
            (OpKind::Memory, OpKind::Register) => {
                general(decoded.op1_register()).map_or(Operation::Other, Operation::Store)
            }
            (OpKind::Register, OpKind::Memory) => {
                general(decoded.op0_register()).map_or(Operation::Other, Operation::Load)
            }
            (OpKind::Memory, _) => Operation::Set,
            _ => Operation::Other,
        },
        Mnemonic::Inc => Operation::Increment,
        Mnemonic::Add => Operation::Add,
        Mnemonic::Xadd => Operation::FetchAdd,
        Mnemonic::Dec | Mnemonic::Sub => Operation::Subtract,
        Mnemonic::Xchg => Operation::Exchange,
        _ => Operation::Other,
    }
}

/// The general register that this one is or is a part of.
fn general(register: Named) -> Option<Register> {
    let whole = register.full_register();
    whole
        .is_gpr64()
        .then(|| Register::new(whole.number() as u8))
}
