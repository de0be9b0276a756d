//! arm64, as the crate fARM64 decodes it. Nothing outside this folder knows that library.
//!
//! An instruction has no room for an address. Two or three of them form it in a register,
//! and what is done to a variable is often a load, a change and a store. So a function is
//! read from top to bottom, with what its registers hold (`known.rs`), and the last of
//! such instructions says the whole of it (`access.rs`).

mod access;
mod exclusive;
mod kernel;
mod known;
mod literals;
mod named;
mod reader;
mod stack;
#[cfg(test)]
mod tests;

use farm64::{
    format::{FmtFormatter, Formatter},
    instruction_info,
};

use self::named::{decoded, written};
use super::{Instruction, InstructionSet, Register, Registers};

/// The instruction set.
pub(super) struct Arm64;

/// Go passes integers in the registers from 0 to this one.
const LAST_ARGUMENT: usize = 15;
/// Where Go keeps the goroutine.
const GOROUTINE: Register = Register::new(28);
/// Go 1.17 still passes arguments on the stack here.
const REGISTERS_SINCE: u16 = 18;

impl InstructionSet for Arm64 {
    fn decode<'c>(
        &self,
        code: &'c [u8],
        address: u64,
    ) -> Box<dyn Iterator<Item = Option<Instruction>> + 'c> {
        Box::new(reader::read(code, address).into_iter())
    }

    fn writes(&self, code: &[u8]) -> Registers {
        decoded(code, 0).map_or(Registers::NONE, |it| written(&instruction_info(&it)))
    }

    /// In Arm's notation.
    fn text(&self, code: &[u8], address: u64) -> String {
        let Some(decoded) = decoded(code, address) else {
            return String::new();
        };
        let mut formatter = FmtFormatter::new();
        // One space behind the name, and no columns.
        formatter.options_mut().first_operand_char_index = 0;
        let mut text = String::new();
        formatter.format(&decoded, &mut text);
        text
    }

    fn argument(&self, place: usize) -> Option<Register> {
        (place <= LAST_ARGUMENT).then(|| Register::new(place as u8))
    }

    fn registers_since(&self) -> u16 {
        REGISTERS_SINCE
    }

    fn moves_stack(&self, code: &[u8]) -> Option<i32> {
        stack::moves(&decoded(code, 0)?)
    }

    fn goroutine(&self) -> Register {
        GOROUTINE
    }
}
