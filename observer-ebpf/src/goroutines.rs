//! Goroutines created and ended.

use aya_ebpf::bindings::BPF_NOEXIST;
use observer_ebpf::{Cookie, GoroutineFigures, ProcessKey, SiteKind};

use crate::{
    budget::charge,
    diagnostics::{Figures, no_room_for_figures},
    maps::{GOROUTINES, count, health},
};

/// Counts one hit.
#[inline(always)]
pub(crate) fn hit(process: ProcessKey, kind: SiteKind, cookie: Cookie) {
    let figures = match GOROUTINES.get_ptr_mut(&process) {
        Some(figures) => figures,
        None => {
            // Fails where another CPU was first, and where there is no room.
            let _ = GOROUTINES.insert(&process, &GoroutineFigures::ZERO, BPF_NOEXIST as u64);
            let Some(figures) = GOROUTINES.get_ptr_mut(&process) else {
                health!(refused_goroutines);
                no_room_for_figures(Figures::Goroutines, process.tgid);
                return;
            };
            figures
        }
    };
    // SAFETY: a live map value; this CPU's copy.
    unsafe {
        count(match kind {
            SiteKind::GoroutineCreated => &raw mut (*figures).created,
            SiteKind::GoroutineExited => &raw mut (*figures).exited,
            SiteKind::SystemGoroutineCreated => &raw mut (*figures).system_created,
            SiteKind::SystemGoroutineExited => &raw mut (*figures).system_exited,
            _ => &raw mut (*figures).goid_refills,
        });
        charge(figures, process, cookie);
    }
}
