//! Atomic changes of map values. For this target `core` has only loads and
//! stores, although the kernel (5.12 and newer, on arm64 5.18) has the instructions.
//! Before it loads the programs, user space tries each that is used here.

use core::arch::asm;

/// Adds to what `field` points to.
///
/// # Safety
///
/// `field` must be a field of a live map value.
#[inline(always)]
pub(crate) unsafe fn add(field: *mut u64, by: u64) {
    // SAFETY: one instruction that changes only what the caller allows.
    unsafe {
        asm!("lock *(u64 *)({field} + 0) += {by}", field = in(reg) field, by = in(reg) by);
    }
}

/// Sets bits in what `field` points to.
///
/// # Safety
///
/// As for [`add`].
#[inline(always)]
pub(crate) unsafe fn set(field: *mut u64, bits: u64) {
    // SAFETY: as in `add`.
    unsafe {
        asm!("lock *(u64 *)({field} + 0) |= {bits}", field = in(reg) field, bits = in(reg) bits);
    }
}

/// Adds to what `field` points to and returns what was there.
///
/// # Safety
///
/// As for [`add`].
#[inline(always)]
pub(crate) unsafe fn fetch_add(field: *mut u64, by: u64) -> u64 {
    let mut value = by;
    // SAFETY: as in `add`.
    unsafe {
        asm!(
            "{value} = atomic_fetch_add((u64 *)({field} + 0), {value})",
            field = in(reg) field,
            value = inout(reg) value,
        );
    }
    value
}

/// Puts `new` in the place of `old` and returns what was there.
///
/// # Safety
///
/// As for [`add`].
#[inline(always)]
pub(crate) unsafe fn exchange(field: *mut u64, old: u64, new: u64) -> u64 {
    let was;
    // SAFETY: as in `add`.
    unsafe {
        asm!(
            "r0 = cmpxchg_64({field} + 0, r0, {new})",
            field = in(reg) field,
            new = in(reg) new,
            inout("r0") old => was,
        );
    }
    was
}
