//! Goroutines created and ended.

use super::figures::GoroutineFigures;
use crate::{SiteKind, ground::Words};

/// Counts one hit. Atomic also in a CPU's own copy: on preemptible kernels another
/// thread's hit on the same CPU may interrupt this one.
///
/// # Safety
///
/// `figures` must be a live map value.
#[inline(always)]
pub(crate) unsafe fn count(kernel: impl Words, figures: *mut GoroutineFigures, kind: SiteKind) {
    // SAFETY: as the caller promises.
    unsafe {
        let counter = match kind {
            SiteKind::GoroutineCreated => &raw mut (*figures).created,
            SiteKind::GoroutineExited => &raw mut (*figures).exited,
            SiteKind::SystemGoroutineCreated => &raw mut (*figures).system_created,
            SiteKind::SystemGoroutineExited => &raw mut (*figures).system_exited,
            _ => &raw mut (*figures).goid_refills,
        };
        kernel.add(counter, 1);
    }
}
