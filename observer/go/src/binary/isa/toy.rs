//! An instruction set that no processor has, for tests of what decides by instructions.
//!
//! An instruction is a letter and a digit, for example `c4`.

use super::super::FunctionCode;
use super::{
    Access, Flow, Handling, Instruction, InstructionSet, OperandAddress, Operation, Register,
    Registers,
};

pub(in crate::binary) struct Toy;

/// Where functions begin.
const START: u64 = 0x1000;

/// The address of the variable of this number.
pub(in crate::binary) fn variable(number: u8) -> u64 {
    0x2000 + 8 * u64::from(number)
}

/// The register of this number.
pub(in crate::binary) fn register(number: u8) -> Register {
    Register::new(number)
}

/// A function of these instructions.
pub(in crate::binary) fn function(instructions: &str) -> FunctionCode {
    FunctionCode {
        name: "toy".to_owned(),
        address: START,
        code: instructions.replace(' ', "").into_bytes(),
    }
}

impl InstructionSet for Toy {
    fn decode<'c>(
        &self,
        code: &'c [u8],
        address: u64,
    ) -> Box<dyn Iterator<Item = Option<Instruction>> + 'c> {
        let addresses = (address..).step_by(2);
        let pairs = code.as_chunks::<2>().0.iter().zip(addresses);
        Box::new(pairs.map(|(bytes, address)| instruction(bytes, address)))
    }

    /// `w` writes the register of its number, and `t` register 0.
    fn writes(&self, code: &[u8]) -> Registers {
        match code[0] {
            b'w' => Registers::NONE.with(register(digit(code))),
            b't' => Registers::NONE.with(register(0)),
            _ => Registers::NONE,
        }
    }

    fn text(&self, code: &[u8], _address: u64) -> String {
        String::from_utf8_lossy(code).into_owned()
    }

    fn argument(&self, place: usize) -> Option<Register> {
        (place < 9).then(|| register(place as u8))
    }

    fn registers_since(&self) -> u16 {
        0
    }

    /// `p` moves it down by a word or more.
    fn moves_stack(&self, code: &[u8]) -> Option<i32> {
        match code[0] {
            b'p' => Some(-8 * i32::from(digit(code))),
            b'w' => None,
            _ => Some(0),
        }
    }

    fn goroutine(&self) -> Register {
        register(9)
    }
}

fn digit(code: &[u8]) -> u8 {
    code[1].wrapping_sub(b'0')
}

fn instruction(code: &[u8], address: u64) -> Option<Instruction> {
    let number = digit(code);
    // Jumps go to instructions by their number, and calls to addresses.
    let target = START + 2 * u64::from(number);
    let (flow, handling) = match code[0] {
        b'e' => (Flow::Next, Handling::Emulated(0)),
        b'f' => (Flow::Next, Handling::Emulated(1)),
        b's' | b'w' | b't' | b'p' => (Flow::Next, Handling::SingleStep),
        b'x' | b'a' | b'b' | b'o' => (Flow::Next, Handling::Refused),
        b'c' => (Flow::Conditional(target), Handling::Emulated(1)),
        b'j' => (Flow::Jump(target), Handling::Emulated(1)),
        b'l' => (Flow::Call(number.into()), Handling::Emulated(1)),
        b'r' => (Flow::Return, Handling::SingleStep),
        b'i' => (Flow::Elsewhere, Handling::Refused),
        _ => return None,
    };
    let named = OperandAddress::Fixed(variable(number));
    let access = match code[0] {
        b't' => Some((named, Operation::Address)),
        b'a' => Some((named, Operation::Add)),
        b'o' => Some((named, Operation::Other)),
        b'b' => Some((
            OperandAddress::Behind(register(number)),
            Operation::FetchAdd,
        )),
        _ => None,
    };
    Some(Instruction {
        address,
        length: 2,
        flow,
        access: access.map(|(place, operation)| Access {
            place,
            operation,
            width: 8,
            atomic: operation != Operation::Address,
            constant: None,
        }),
        second: None,
        handling,
    })
}
