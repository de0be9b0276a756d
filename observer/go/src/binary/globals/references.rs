//! What functions refer to: the addresses that their instructions name.

use crate::binary::{
    FunctionCode,
    isa::{InstructionSet, Operation},
};

/// One reference to a fixed address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference<'a> {
    /// In which function.
    pub(super) function: &'a str,
    /// To which address.
    pub(super) target: u64,
    /// Whether the address itself is taken.
    pub(super) taken: bool,
    /// The constant that is stored there or compared with.
    pub(super) constant: Option<u64>,
}

/// Every reference of these functions.
pub(super) fn collect<'f>(
    isa: &dyn InstructionSet,
    functions: &'f [FunctionCode],
) -> Vec<Reference<'f>> {
    let mut found = Vec::new();
    for function in functions {
        let instructions = isa.decode(&function.code, function.address);
        // For arm64, Go from 1.25 on moves two variables that lie side by side as one pair,
        // such as where a slice is and how long: each of them is a witness.
        for access in instructions.flatten().flat_map(|it| it.accesses()) {
            if let Some(target) = access.variable() {
                found.push(Reference {
                    function: &function.name,
                    target,
                    taken: access.operation == Operation::Address,
                    constant: access.constant,
                });
            }
        }
    }
    found
}
