//! From the decoder's words to those of the instruction sets.

use farm64::{
    Decoder, DecoderOptions, FlowControl, Instruction as Decoded, InstructionInfo, Mnemonic,
    OpAccess, RegClass, Register as Named,
};

use super::super::{Flow, Register, Registers};

/// `ret`, which returns to the address in the link register.
const RETURN: u32 = 0xd65f_03c0;

/// The instruction that these four bytes are.
pub(super) fn decoded(bytes: &[u8], address: u64) -> Option<Decoded> {
    let decoded = Decoder::new(bytes, address, DecoderOptions::NONE).decode();
    (!decoded.is_invalid()).then_some(decoded)
}

/// The general register that this one is, or is the lower half of. The stack pointer and
/// the zero register are none.
pub(super) fn general(register: Named) -> Option<Register> {
    let number = register.number();
    (register.class() == RegClass::Gp && number < 31).then(|| Register::new(number))
}

/// The general registers that the instruction writes or may write.
pub(super) fn written(info: &InstructionInfo) -> Registers {
    info.used_registers()
        .iter()
        .filter(|used| !matches!(used.access, OpAccess::Read | OpAccess::CondRead))
        .filter_map(|used| general(used.register))
        .collect()
}

/// What is executed next.
pub(super) fn flow(decoded: &Decoded) -> Flow {
    let target = decoded.near_branch_target();
    match decoded.flow_control() {
        // A word that stands for no instruction on purpose.
        _ if decoded.mnemonic() == Mnemonic::Udf => Flow::Elsewhere,
        FlowControl::Next => Flow::Next,
        FlowControl::UnconditionalBranch => Flow::Jump(target),
        FlowControl::ConditionalBranch => Flow::Conditional(target),
        FlowControl::Call => Flow::Call(target),
        FlowControl::Return if decoded.word() == RETURN => Flow::Return,
        // Through registers, out of exceptions and into them.
        FlowControl::Return
        | FlowControl::IndirectBranch
        | FlowControl::IndirectCall
        | FlowControl::Exception => Flow::Elsewhere,
    }
}
