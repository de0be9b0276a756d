//! What an instruction does with memory, by what registers are known to hold before it.

use farm64::{Instruction as Decoded, Mnemonic as M, Operand, Register as Named};

use super::super::{Access, OperandAddress, Operation};
use super::exclusive::{Exclusive, Stored, loads};
use super::known::{Change, Known, Value, loads_one};
use super::named::general;

/// In what Go's assembler forms an address that nothing but the next instruction uses.
const TEMPORARY: Named = Named::X27;

/// What the instruction does, and what it does with the memory behind that.
pub(super) fn accesses(
    decoded: &Decoded,
    known: &Known,
    exclusive: &Exclusive,
) -> (Option<Access>, Option<Access>) {
    if let Some(address) = taken(decoded, known) {
        let access = Access {
            place: OperandAddress::Fixed(address),
            operation: Operation::Address,
            width: 0,
            atomic: false,
            constant: None,
        };
        return (Some(access), None);
    }
    let word = decoded.word();
    // The store that belongs to an exclusive load says what both do.
    let Some(place) = known.place(decoded).filter(|_| !loads(word)) else {
        return (None, None);
    };
    let is_pair = matches!(
        decoded.mnemonic(),
        M::Ldp | M::Ldpsw | M::Ldnp | M::Stp | M::Stnp
    );
    let width = width(word, is_pair);
    let access = |number, place| {
        let (operation, constant) = operation(decoded, number, known, place, exclusive);
        Access {
            place,
            operation,
            width,
            atomic: is_atomic(word, operation),
            constant: constant.map(|constant| narrowed(constant, width)),
        }
    };
    let second = match place {
        OperandAddress::Fixed(address) if is_pair => {
            let behind = address.wrapping_add(width as u64);
            Some(access(1, OperandAddress::Fixed(behind)))
        }
        _ => None,
    };
    (Some(access(0, place)), second)
}

/// The address that the instruction leaves in a register. `adrp` leaves only half of one.
fn taken(decoded: &Decoded, known: &Known) -> Option<u64> {
    let is_temporary = matches!(decoded.op(0), Operand::Reg { reg, .. } if reg == TEMPORARY);
    if is_temporary || !matches!(decoded.mnemonic(), M::Adr | M::Add) {
        return None;
    }
    match known.result(decoded)? {
        (_, Value::Address(address)) => Some(address),
        _ => None,
    }
}

/// What is done to the operand in memory with the register of this number.
fn operation(
    decoded: &Decoded,
    number: usize,
    known: &Known,
    place: OperandAddress,
    exclusive: &Exclusive,
) -> (Operation, Option<u64>) {
    let register = |number| match decoded.op(number) {
        Operand::Reg { reg, .. } => reg,
        _ => Named::None,
    };
    let operation = match decoded.mnemonic() {
        M::Ldp | M::Ldpsw | M::Ldnp => load(register(number)),
        mnemonic if loads_one(mnemonic) => load(register(number)),
        M::Str
        | M::Strb
        | M::Strh
        | M::Stur
        | M::Sturb
        | M::Sturh
        | M::Stlr
        | M::Stlrb
        | M::Stlrh
        | M::Stp
        | M::Stnp => return store(register(number), known, place),
        // Its first operand says whether it succeeded.
        M::Stxr | M::Stlxr | M::Stxrb | M::Stlxrb | M::Stxrh | M::Stlxrh => {
            store_exclusive(register(1), known, place, exclusive)
        }
        M::Ldadd | M::Ldadda | M::Ldaddl | M::Ldaddal => Operation::FetchAdd,
        M::Stadd | M::Staddl => Operation::Add,
        M::Swp | M::Swpa | M::Swpl | M::Swpal => Operation::Exchange,
        _ => Operation::Other,
    };
    (operation, None)
}

fn load(register: Named) -> Operation {
    general(register).map_or(Operation::Other, Operation::Load)
}

fn store(register: Named, known: &Known, place: OperandAddress) -> (Operation, Option<u64>) {
    match known.of(register) {
        Some(Value::Constant(constant)) => (Operation::Set, Some(constant)),
        Some(Value::Content(of, Change::Increment)) if is_at(place, of) => {
            (Operation::Increment, None)
        }
        Some(Value::Content(of, Change::Add)) if is_at(place, of) => (Operation::Add, None),
        Some(Value::Content(of, Change::Subtract)) if is_at(place, of) => {
            (Operation::Subtract, None)
        }
        _ => {
            let operation = general(register).map_or(Operation::Other, Operation::Store);
            (operation, None)
        }
    }
}

fn store_exclusive(
    register: Named,
    known: &Known,
    place: OperandAddress,
    exclusive: &Exclusive,
) -> Operation {
    match known.of(register) {
        Some(Value::Content(of, Change::Increment | Change::Add)) if is_at(place, of) => {
            Operation::FetchAdd
        }
        Some(Value::Content(of, Change::Subtract)) if is_at(place, of) => Operation::Subtract,
        _ => match exclusive.stored(general(register)) {
            Stored::Anyway => Operation::Exchange,
            Stored::Depends => Operation::Other,
        },
    }
}

fn is_at(place: OperandAddress, address: u64) -> bool {
    place == OperandAddress::Fixed(address)
}

/// Whether it reads and writes the operand as a whole.
fn is_atomic(word: u32, operation: Operation) -> bool {
    // ldadd, swp and the like, ...
    let in_one = word & 0x3b20_0c00 == 0x3820_0000;
    // ... exclusive stores, cas; but loads and stores that are only ordered do one of the two.
    let is_ordered = word & 0x00a0_0000 == 0x0080_0000;
    let exclusive = word & 0x3f00_0000 == 0x0800_0000 && !is_ordered;
    (in_one || exclusive) && !matches!(operation, Operation::Load(_))
}

/// How many bytes the operand has; of a pair, each of the two.
fn width(word: u32, is_pair: bool) -> usize {
    let is_vector = word & (1 << 26) != 0;
    let size = word >> 30;
    match (is_pair, is_vector) {
        (true, true) => 4 << size,
        // Words, signed words, or longer ones.
        (true, false) => 4 << (size >> 1),
        (false, true) if word & (1 << 23) != 0 => 16,
        (false, _) => 1 << size,
    }
}

fn narrowed(constant: u64, width: usize) -> u64 {
    match width {
        1 | 2 | 4 => constant & ((1 << (8 * width)) - 1),
        _ => constant,
    }
}
