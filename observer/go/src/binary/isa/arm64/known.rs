//! What general registers are known to hold at one place of a function.

use farm64::{
    Instruction as Decoded, MemIndexMode, Mnemonic as M, Operand, RegClass, Register as Named,
};

use super::super::{OperandAddress, Register, Registers};
use super::named::general;

/// How many general registers there are.
const REGISTERS: usize = 31;

/// What a register holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// This address, which the code names relative to itself.
    Address(u64),
    /// This number.
    Constant(u64),
    /// What was in the variable at this address, and what has been done to it since.
    Content(u64, Change),
}

/// What has been done to a variable's content in a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    Nothing,
    /// One was added.
    Increment,
    /// Something was added.
    Add,
    /// Something was subtracted from it, or it from something.
    Subtract,
}

/// What the registers hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known([Option<Value>; REGISTERS]);

impl Known {
    /// Nothing is known.
    pub(super) const NOTHING: Self = Self([None; REGISTERS]);

    /// What the register holds.
    pub(super) fn of(&self, register: Named) -> Option<Value> {
        if matches!(register, Named::Xzr | Named::Wzr) {
            return Some(Value::Constant(0));
        }
        let value = self.0[general(register)?.number()]?;
        match value {
            _ if is_whole(register) => Some(value),
            Value::Constant(number) => Some(Value::Constant(u64::from(number as u32))),
            // Half an address is none.
            Value::Address(_) => None,
            Value::Content(..) => Some(value),
        }
    }

    /// Where the instruction's operand in memory is.
    pub(super) fn place(&self, decoded: &Decoded) -> Option<OperandAddress> {
        let (base, offset, mode) =
            (0..decoded.op_count()).find_map(|number| match decoded.op(number) {
                Operand::MemImm { base, imm, mode } => Some((base, imm, mode)),
                _ => None,
            })?;
        let offset = match mode {
            MemIndexMode::Offset | MemIndexMode::PreIndex => offset,
            MemIndexMode::PostImm => 0,
            MemIndexMode::PreNoOffset | MemIndexMode::PostReg => return None,
        };
        match self.of(base) {
            Some(Value::Address(address)) => {
                Some(OperandAddress::Fixed(address.wrapping_add_signed(offset)))
            }
            _ if offset == 0 => general(base).map(OperandAddress::Behind),
            _ => None,
        }
    }

    /// What the instruction leaves in its first operand, where that is known.
    pub(super) fn result(&self, decoded: &Decoded) -> Option<(Register, Value)> {
        let Operand::Reg { reg: into, .. } = decoded.op(0) else {
            return None;
        };
        let value = match decoded.mnemonic() {
            M::Adr | M::Adrp => match decoded.op(1) {
                Operand::Label(address) => Value::Address(address),
                _ => return None,
            },
            M::Mov => self.moved(decoded.op(1))?,
            M::Movz => Value::Constant(shifted(decoded.op(1))?),
            M::Movk => self.patched(into, decoded.op(1))?,
            // Go's compiler writes some constants as `orr x1, xzr, #16`.
            M::Orr => self.either(decoded)?,
            M::Add | M::Adds | M::Sub | M::Subs => self.sum(decoded)?,
            mnemonic if loads_one(mnemonic) => match self.place(decoded)? {
                OperandAddress::Fixed(address) => Value::Content(address, Change::Nothing),
                OperandAddress::Behind(_) => return None,
            },
            _ => return None,
        };
        let value = match value {
            _ if is_whole(into) => value,
            Value::Constant(number) => Value::Constant(u64::from(number as u32)),
            Value::Content(..) => value,
            Value::Address(_) => return None,
        };
        Some((general(into)?, value))
    }

    fn moved(&self, from: Operand) -> Option<Value> {
        match from {
            Operand::Reg {
                reg, shift: None, ..
            } => self.of(reg),
            Operand::ImmSigned(number) => Some(Value::Constant(number as u64)),
            Operand::ImmUnsigned(number) | Operand::ImmLogical(number) => {
                Some(Value::Constant(number))
            }
            _ => None,
        }
    }

    /// A constant of which sixteen bits are replaced.
    fn patched(&self, register: Named, by: Operand) -> Option<Value> {
        let Some(Value::Constant(number)) = self.of(register) else {
            return None;
        };
        let Operand::ImmShiftedMove { lsl, .. } = by else {
            return None;
        };
        let kept = !0xffff_u64.checked_shl(lsl.into())?;
        Some(Value::Constant((number & kept) | shifted(by)?))
    }

    fn either(&self, decoded: &Decoded) -> Option<Value> {
        let Operand::Reg { reg: left, .. } = decoded.op(1) else {
            return None;
        };
        match (self.of(left), decoded.op(2)) {
            (Some(Value::Constant(left)), Operand::ImmLogical(right)) => {
                Some(Value::Constant(left | right))
            }
            _ => None,
        }
    }

    fn sum(&self, decoded: &Decoded) -> Option<Value> {
        let is_sum = matches!(decoded.mnemonic(), M::Add | M::Adds);
        let Operand::Reg { reg: left, .. } = decoded.op(1) else {
            return None;
        };
        let left = self.of(left);
        let right = match decoded.op(2) {
            Operand::Reg {
                reg,
                shift: None,
                extend: None,
                ..
            } => self.of(reg),
            // Something, whatever it is.
            Operand::Reg { .. } => None,
            number => Some(Value::Constant(shifted(number)?)),
        };
        match (left, right) {
            (Some(Value::Address(address)), Some(Value::Constant(number))) => {
                Some(Value::Address(added(address, number, is_sum)))
            }
            (Some(Value::Constant(left)), Some(Value::Constant(right))) => {
                Some(Value::Constant(added(left, right, is_sum)))
            }
            (Some(Value::Content(of, change)), other)
            | (other, Some(Value::Content(of, change))) => {
                // Of two variables, the one to which nothing has been done yet.
                let of = match other {
                    Some(Value::Content(other, Change::Nothing)) if change != Change::Nothing => {
                        other
                    }
                    _ => of,
                };
                Some(Value::Content(of, change_by(other, is_sum, change)))
            }
            _ => None,
        }
    }

    /// Forgets what these registers held.
    pub(super) fn forget(&mut self, registers: Registers) {
        for (number, value) in self.0.iter_mut().enumerate() {
            if registers.contains(Register::new(number as u8)) {
                *value = None;
            }
        }
    }

    /// Keeps in mind what a register holds now.
    pub(super) fn keep(&mut self, (register, value): (Register, Value)) {
        self.0[register.number()] = Some(value);
    }

    /// Forgets what does not hold in the other case too.
    pub(super) fn agree(&mut self, other: &Self) {
        for (own, other) in self.0.iter_mut().zip(&other.0) {
            if own != other {
                *own = None;
            }
        }
    }
}

/// Whether all 64 bits of the register are meant.
fn is_whole(register: Named) -> bool {
    register.class() == RegClass::Gp && register.as_x() == register
}

fn shifted(operand: Operand) -> Option<u64> {
    match operand {
        Operand::ImmShiftedMove { imm, lsl } => u64::from(imm).checked_shl(lsl.into()),
        Operand::ImmUnsigned(number) => Some(number),
        _ => None,
    }
}

fn added(left: u64, right: u64, is_sum: bool) -> u64 {
    if is_sum {
        left.wrapping_add(right)
    } else {
        left.wrapping_sub(right)
    }
}

fn change_by(other: Option<Value>, is_sum: bool, before: Change) -> Change {
    match other {
        _ if !is_sum => Change::Subtract,
        Some(Value::Constant(1)) if before == Change::Nothing => Change::Increment,
        _ => Change::Add,
    }
}

/// Whether the instruction loads one register.
pub(super) fn loads_one(mnemonic: M) -> bool {
    matches!(
        mnemonic,
        M::Ldr
            | M::Ldrb
            | M::Ldrh
            | M::Ldrsb
            | M::Ldrsh
            | M::Ldrsw
            | M::Ldur
            | M::Ldurb
            | M::Ldurh
            | M::Ldursb
            | M::Ldursh
            | M::Ldursw
            | M::Ldar
            | M::Ldarb
            | M::Ldarh
            | M::Ldapr
            | M::Ldaprb
            | M::Ldaprh
            | M::Ldxr
            | M::Ldxrb
            | M::Ldxrh
            | M::Ldaxr
            | M::Ldaxrb
            | M::Ldaxrh
    )
}
