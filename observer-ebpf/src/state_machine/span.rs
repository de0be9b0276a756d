//! Spans: what begins, goes on in a goroutine, and ends.
//!
//! A goroutine runs on one thread at a time, so nobody else changes its entry.

use super::{Kernel, account};
use crate::{
    Cookie, ProcessKey, SiteKind,
    family::{
        InFlight, InFlightKey, SpanFigures, SpanKey,
        span::{LABELS, SPAN_BUCKETS},
    },
    ground::Registers,
};

/// Takes a hit at a site of a span. Not inlined: it needs stack for keys, which other
/// hits need not set aside.
#[inline(never)]
pub(super) fn hit<K: Kernel>(
    kernel: K,
    process: ProcessKey,
    cookie: Cookie,
    goroutine: u64,
    word: u64,
) {
    let span = cookie.span() as u64;
    let key = InFlightKey {
        process,
        goroutine,
        span,
    };
    let label = if word < LABELS { word } else { 0 };
    match SiteKind::from_u8(cookie.kind()) {
        Some(SiteKind::SpanBegins) => {
            let Some(figures) = counted(kernel, process, cookie, 0) else {
                return;
            };
            let now = kernel.now();
            let is_again = begin(kernel, &key, InFlight { began: now, label });
            // SAFETY: a live map value.
            unsafe {
                kernel.add(&raw mut (*figures).begun, 1);
                if is_again {
                    kernel.add(&raw mut (*figures).abandoned, 1);
                }
            }
        }
        Some(SiteKind::SpanEnds) => ends(kernel, process, cookie, &key),
        Some(SiteKind::SpanLabelled) => {
            if let Some(entry) = kernel.in_flight(&key) {
                // SAFETY: a live map value.
                unsafe { kernel.store(&raw mut (*entry).label, label) };
            }
            counted(kernel, process, cookie, 0);
        }
        _ => {
            if let Some(figures) = counted(kernel, process, cookie, 0) {
                // SAFETY: a live map value.
                unsafe { kernel.add(&raw mut (*figures).begun, 1) };
            }
        }
    }
}

/// A span begins. Whether one goes on that nobody saw end.
#[inline(always)]
fn begin<K: Kernel>(kernel: K, key: &InFlightKey, new: InFlight) -> bool {
    let Some(entry) = kernel.in_flight(key) else {
        kernel.begin(key, &new);
        return false;
    };
    // SAFETY: a live map value.
    unsafe {
        kernel.store(&raw mut (*entry).began, new.began);
        kernel.store(&raw mut (*entry).label, new.label);
    }
    true
}

/// A span ends.
#[inline(always)]
fn ends<K: Kernel>(kernel: K, process: ProcessKey, cookie: Cookie, key: &InFlightKey) {
    let Some(entry) = kernel.in_flight(key) else {
        // It began before the probes did, or found no room.
        if let Some(figures) = counted(kernel, process, cookie, 0) {
            // SAFETY: a live map value.
            unsafe { kernel.add(&raw mut (*figures).unmatched, 1) };
        }
        return;
    };
    // Read before the entry goes, since its memory may be another's then.
    // SAFETY: a live map value.
    let (began, label) = unsafe {
        (
            kernel.load(&raw const (*entry).began),
            kernel.load(&raw const (*entry).label),
        )
    };
    kernel.end(key);
    let took = kernel.now().wrapping_sub(began);
    let Some(figures) = counted(kernel, process, cookie, label as u32) else {
        return;
    };
    let bucket = kernel.opaque(SpanFigures::bucket(took));
    // SAFETY: a live map value, and the index is in range.
    unsafe {
        kernel.add(&raw mut (*figures).ended, 1);
        kernel.add(&raw mut (*figures).sum_ns, took);
        if bucket < SPAN_BUCKETS {
            let buckets = (&raw mut (*figures).buckets).cast::<u64>();
            kernel.add(buckets.add(bucket), 1);
        }
    }
}

/// The figures that a hit counts in, which has been charged for.
#[inline(always)]
fn counted<K: Kernel>(
    kernel: K,
    process: ProcessKey,
    cookie: Cookie,
    label: u32,
) -> Option<*mut SpanFigures> {
    let figures = kernel.span(&SpanKey {
        process,
        span: cookie.span() as u32,
        label,
    })?;
    // SAFETY: a live map value.
    unsafe {
        kernel.add(&raw mut (*figures).hits, 1);
        account::charge_span(kernel, figures, process, cookie);
    }
    Some(figures)
}

/// What a site reads besides the goroutine.
#[inline(always)]
pub(super) const fn word(cookie: Cookie, registers: &Registers) -> u64 {
    match cookie.register() {
        1 => registers.rax,
        2 => registers.rbx,
        3 => registers.rcx,
        4 => registers.rdi,
        _ => 0,
    }
}
