//! What functions refer to: their instructions' RIP-relative addresses.

use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind};

use crate::binary::Function;

/// One reference to a fixed address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference<'a> {
    /// In which function.
    pub(super) function: &'a str,
    /// To which address.
    pub(super) target: u64,
    /// Whether the address itself is taken (`LEA`).
    pub(super) taken: bool,
    /// The constant that is stored there or compared with.
    pub(super) constant: Option<u64>,
}

/// Every reference of these functions.
pub(super) fn collect(functions: &[Function]) -> Vec<Reference<'_>> {
    let mut found = Vec::new();
    for function in functions {
        let mut decoder =
            Decoder::with_ip(64, &function.code, function.address, DecoderOptions::NONE);
        let mut instruction = Instruction::default();
        while decoder.can_decode() {
            decoder.decode_out(&mut instruction);
            if instruction.code() == Code::INVALID || !instruction.is_ip_rel_memory_operand() {
                continue;
            }
            let immediate = (0..instruction.op_count()).find(|&op| {
                matches!(
                    instruction.op_kind(op),
                    OpKind::Immediate8
                        | OpKind::Immediate8to32
                        | OpKind::Immediate8to64
                        | OpKind::Immediate32
                        | OpKind::Immediate32to64
                )
            });
            found.push(Reference {
                function: &function.name,
                target: instruction.ip_rel_memory_address(),
                taken: instruction.mnemonic() == Mnemonic::Lea,
                constant: immediate.map(|op| instruction.immediate(op)),
            });
        }
    }
    found
}
