//! The collector's cycles: what triggered them, when they begin and end.

use aya_ebpf::bindings::BPF_NOEXIST;
use observer_ebpf::{
    CYCLE_BEGUN, CYCLE_MARKING, CYCLE_UNSEEN, Cookie, GC_TRIGGERS, GcCycleFigures, GcFigures,
    PENDING_TRIGGERS, ProcessKey, SiteKind,
};

use crate::{
    atomic,
    budget::charge_stop,
    diagnostics::{Figures, no_room_for_figures},
    maps::{GC, count, health},
    registers::Registers,
};

/// What a new entry starts as. In the object's read-only data, because it is
/// far larger than the stack.
static ZERO: GcFigures = GcFigures::ZERO;

/// A cycle's trigger, where its `gcStart` was not seen.
const NOT_SEEN: u32 = GC_TRIGGERS as u32 - 1;

/// The process's entry, made where there is none, for one hit more.
#[inline(always)]
pub(crate) fn figures(process: ProcessKey, target: u32) -> Option<*mut GcFigures> {
    let figures = match GC.get_ptr_mut(&process) {
        Some(figures) => figures,
        None => {
            let _ = GC.insert(&process, &ZERO, BPF_NOEXIST as u64);
            let Some(figures) = GC.get_ptr_mut(&process) else {
                health!(refused_gc);
                no_room_for_figures(Figures::Gc, process.tgid);
                return None;
            };
            figures
        }
    };
    // SAFETY: a live map value.
    unsafe { charge_stop(figures, process, target) };
    Some(figures)
}

/// A hit in `gcStart` or where it begins a cycle.
#[inline(always)]
pub(crate) fn hit(process: ProcessKey, kind: SiteKind, cookie: Cookie, regs: Registers) {
    let Some(gc) = figures(process, cookie.target()) else {
        return;
    };
    if matches!(kind, SiteKind::GcStart) {
        remember(gc, regs.r14, regs.rax);
    } else {
        begin(gc, forget(gc, regs.r14));
    }
}

/// Keeps the trigger of the goroutine that called `gcStart`. Several threads
/// may be here at once, hence the exchange.
#[inline(always)]
fn remember(gc: *mut GcFigures, goroutine: u64, kind: u64) {
    for place in 0..PENDING_TRIGGERS {
        // SAFETY: a live map value, and the index is in its range.
        let pending = unsafe { &raw mut (*gc).pending[place] };
        // SAFETY: as above.
        let owner = unsafe { (&raw const (*pending).goroutine).read_volatile() };
        if owner == goroutine {
            // SAFETY: as above; this place is this goroutine's, which runs here.
            unsafe { (*pending).kind = kind };
            return;
        }
    }
    for place in 0..PENDING_TRIGGERS {
        // SAFETY: as above.
        let pending = unsafe { &raw mut (*gc).pending[place] };
        // SAFETY: as above.
        if unsafe { atomic::exchange(&raw mut (*pending).goroutine, 0, goroutine) } == 0 {
            // SAFETY: as above; the place is now this goroutine's.
            unsafe { (*pending).kind = kind };
            return;
        }
    }
    // SAFETY: as above, and the index is reduced to the range.
    unsafe {
        let place = atomic::fetch_add(&raw mut (*gc).pending_next, 1) as usize;
        let pending = &raw mut (*gc).pending[place % PENDING_TRIGGERS];
        (*pending).kind = kind;
        (&raw mut (*pending).goroutine).write_volatile(goroutine);
    }
}

/// Takes back what [`remember`] kept.
#[inline(always)]
fn forget(gc: *mut GcFigures, goroutine: u64) -> u32 {
    for place in 0..PENDING_TRIGGERS {
        // SAFETY: a live map value, and the index is in its range.
        let pending = unsafe { &raw mut (*gc).pending[place] };
        // SAFETY: as above.
        if unsafe { (&raw const (*pending).goroutine).read_volatile() } == goroutine {
            // SAFETY: as above; this place is this goroutine's, which runs here.
            let kind = unsafe { (*pending).kind };
            // SAFETY: as above.
            unsafe { (&raw mut (*pending).goroutine).write_volatile(0) };
            return if kind < NOT_SEEN as u64 {
                kind as u32
            } else {
                NOT_SEEN
            };
        }
    }
    NOT_SEEN
}

/// A cycle begins. From here to its end the runtime lets no other begin.
#[inline(always)]
fn begin(gc: *mut GcFigures, trigger: u32) {
    // SAFETY: a live map value; the runtime's `work.startSema` is held.
    unsafe {
        (*gc).trigger = trigger;
        (*gc).cycle_seen = CYCLE_BEGUN;
        (*gc).cycle = GcCycleFigures::ZERO;
        by_trigger(&raw mut (*gc).started, trigger);
    }
}

#[inline(always)]
fn by_trigger(counters: *mut [u64; GC_TRIGGERS], trigger: u32) {
    // SAFETY: a field of a live map value, and the index is reduced to its range.
    unsafe { count(&raw mut (*counters)[trigger as usize % GC_TRIGGERS]) };
}

/// The sweep termination pause from `start` to `end` was seen whole.
#[inline(always)]
pub(crate) fn sweep_terminated(gc: *mut GcFigures, start: u64, end: u64) {
    // SAFETY: a live map value; the runtime's `worldsema` is held.
    unsafe {
        if (*gc).cycle_seen != CYCLE_BEGUN {
            begin(gc, NOT_SEEN);
        }
        (*gc).cycle.began = start;
        (*gc).cycle.sweep_termination_ns = end.wrapping_sub(start);
        (*gc).cycle.mark_began = end;
        (*gc).cycle_seen = CYCLE_MARKING;
    }
}

/// A mark termination pause ended in more marking.
#[inline(always)]
pub(crate) fn mark_restarted(gc: *mut GcFigures, pause: u64) {
    // SAFETY: as above.
    unsafe { (*gc).cycle.mark_termination_ns += pause };
}

/// Mark termination ended the cycle; `pause` is its last pause, or `None`
/// where it could not be measured.
#[inline(always)]
pub(crate) fn mark_terminated(gc: *mut GcFigures, start: u64, pause: Option<u64>) {
    // SAFETY: as above.
    unsafe {
        let trigger = if (*gc).cycle_seen == CYCLE_UNSEEN {
            NOT_SEEN
        } else {
            (*gc).trigger
        };
        if let Some(pause) = pause
            && (*gc).cycle_seen == CYCLE_MARKING
        {
            let cycle = &raw mut (*gc).cycle;
            (*cycle).mark_ns = start
                .wrapping_sub((*cycle).mark_began)
                .wrapping_sub((*cycle).mark_termination_ns);
            (*cycle).mark_termination_ns += pause;
            (*gc).pause_total_ns += (*cycle).sweep_termination_ns + (*cycle).mark_termination_ns;
            (*gc).mark_ns += (*cycle).mark_ns;
            (*gc).last = *cycle;
            (*gc).whole_cycles += 1;
        }
        (*gc).cycle_seen = CYCLE_UNSEEN;
        by_trigger(&raw mut (*gc).completed, trigger);
    }
}

/// A part of the cycle that runs could not be measured.
#[inline(always)]
pub(crate) fn spoil(gc: *mut GcFigures) {
    // SAFETY: as above.
    unsafe {
        if (*gc).cycle_seen == CYCLE_MARKING {
            (*gc).cycle_seen = CYCLE_BEGUN;
        }
    }
}
