//! A function and its machine code.

/// A function's machine code, as the function table delimits it.
#[derive(Clone, Debug)]
pub struct FunctionCode {
    /// For example `runtime.newproc1`. Names are not unique: an ABIInternal
    /// function and its ABI0 wrapper have the same one.
    pub name: String,
    /// Virtual address of the first instruction.
    pub address: u64,
    /// Its instructions, padding up to the next function included.
    pub code: Vec<u8>,
}
