//! Keeping the compiler from knowing what the verifier does not.

use core::arch::asm;

/// A value that the compiler knows nothing about. It proves more than the
/// verifier can and drops the range checks that the verifier needs to see.
#[inline(always)]
pub(crate) fn opaque(mut value: usize) -> usize {
    // SAFETY: no instruction at all.
    unsafe { asm!("/* {value} */", value = inout(reg) value, options(pure, nomem, nostack)) };
    value
}
