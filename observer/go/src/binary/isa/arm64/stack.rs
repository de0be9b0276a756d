//! Where the stack pointer is.

use farm64::{
    Instruction as Decoded, MemIndexMode, Mnemonic, OpAccess, Operand, Register as Named,
    instruction_info,
};

/// How far the instruction moves the stack pointer; `None` where that is not known.
pub(super) fn moves(decoded: &Decoded) -> Option<i32> {
    let info = instruction_info(decoded);
    let is_moved = info.used_registers().iter().any(|used| {
        used.register == Named::Sp && !matches!(used.access, OpAccess::Read | OpAccess::CondRead)
    });
    if !is_moved {
        return Some(0);
    }
    let by_memory = (0..decoded.op_count()).find_map(|number| match decoded.op(number) {
        Operand::MemImm {
            base: Named::Sp,
            imm,
            mode: MemIndexMode::PreIndex | MemIndexMode::PostImm,
        } => Some(imm),
        _ => None,
    });
    let by = by_memory.or_else(|| by_sum(decoded))?;
    i32::try_from(by).ok()
}

/// `add sp, sp, #16`, `sub sp, sp, #16`.
fn by_sum(decoded: &Decoded) -> Option<i64> {
    let Operand::Reg { reg: Named::Sp, .. } = decoded.op(1) else {
        return None;
    };
    let Operand::ImmShiftedMove { imm, lsl } = decoded.op(2) else {
        return None;
    };
    let by = i64::from(imm).checked_shl(lsl.into())?;
    match decoded.mnemonic() {
        Mnemonic::Add => Some(by),
        Mnemonic::Sub => Some(-by),
        _ => None,
    }
}
