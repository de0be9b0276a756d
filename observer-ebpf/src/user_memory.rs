//! Reading the memory of the process that was hit.

use aya_ebpf::helpers::bpf_probe_read_user;

use crate::{diagnostics::failed_read, maps::health};

/// Whether programs may: user space patches it in. Where they may not, the
/// verifier never comes to the helper, and does not refuse the rest for it.
#[unsafe(no_mangle)]
static READS_USER_MEMORY: u64 = 0;

/// What lies at an address of the process.
#[inline(always)]
pub(crate) fn read<T>(address: u64) -> Option<T> {
    // SAFETY: a static of this type; the compiler must not take the 0.
    if unsafe { core::ptr::read_volatile(&raw const READS_USER_MEMORY) } == 0 {
        return None;
    }
    // SAFETY: the helper checks the address and fails without a fault.
    let value = unsafe { bpf_probe_read_user(address as *const T) }.ok();
    if value.is_none() {
        health!(failed_reads);
        failed_read(address);
    }
    value
}
