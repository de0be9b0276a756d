//! What an instruction does, in words that hold for every instruction set.
//!
//! An instruction set is one implementation of [`InstructionSet`], in a file or a
//! folder of its own. Only that file knows a decoder, the names of registers, and what
//! the kernel does with each instruction. Other rooms decide from [`Instruction`]s
//! where probes may stand and where variables lie. Another instruction set is one more
//! file, and one more arm in [`of`].

mod arm64;
mod instruction;
#[cfg(test)]
pub(super) mod toy;
mod x86_64;

pub(super) use instruction::{
    Access, Flow, Handling, Instruction, InstructionSet, OperandAddress, Operation, Register,
    Registers,
};

use crate::release::Arch;

/// The instruction set of a file.
pub(super) fn of(arch: Arch) -> &'static dyn InstructionSet {
    match arch {
        Arch::Amd64 => &x86_64::X86_64,
        Arch::Arm64 => &arm64::Arm64,
    }
}
