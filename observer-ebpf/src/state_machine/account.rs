//! What probes take from a program, and when that is too much at once.
//!
//! Each hit on a goroutine adds its price to what its process owes on this CPU.
//! Only once a slice has come together does an account get it, with a look at the
//! clock, so that a hit pays one addition for it. Hits on collections and stops
//! are counted anyway; an account of their own gets many of them together.
//!
//! An account is a time: the one at which all that was spent is paid back, at the
//! rate that is allowed. Where it lies further ahead than a burst may bring it,
//! user space is told, and takes the probes off.

use super::{Fields, Kernel};
use crate::{Cookie, EventKind, GcFigures, GoroutineFigures, ProcessKey, family::SpanFigures};

/// What an account gets at a time, in nanoseconds.
pub(super) const SLICE_NS: u64 = 1 << 16;
/// How long after it began, in the units of epochs (a microsecond), a process is
/// charged to its file. A program that ends shortly spends too little to be
/// noticed alone.
pub(super) const YOUNG: u32 = 1 << 20;
/// How many hits on collections and stops an account gets together.
pub(super) const STOPS: u64 = 64;

/// Charges a hit on a goroutine.
///
/// # Safety
///
/// `figures` must be a live map value.
#[inline(always)]
pub(super) unsafe fn charge<K: Kernel>(
    kernel: K,
    figures: *mut GoroutineFigures,
    process: ProcessKey,
    cookie: Cookie,
) {
    // SAFETY: as the caller promises.
    let owed = unsafe { owed(kernel, &raw mut (*figures).unpaid_ns, cookie.price_ns()) };
    if owed != 0 {
        enter_goroutines(kernel, process, cookie.target(), owed);
    }
}

/// Charges a hit at a site of a span.
///
/// # Safety
///
/// `figures` must be a live map value.
#[inline(always)]
pub(super) unsafe fn charge_span<K: Kernel>(
    kernel: K,
    figures: *mut SpanFigures,
    process: ProcessKey,
    cookie: Cookie,
) {
    let price = cookie.span_price_ns();
    // SAFETY: as the caller promises.
    let owed = unsafe { owed(kernel, &raw mut (*figures).unpaid_ns, price) };
    if owed != 0 {
        enter_spans(kernel, process, cookie.target(), owed);
    }
}

/// Adds a price to what is owed. What is to be entered now, once a slice has come
/// together; 0 before.
///
/// # Safety
///
/// `unpaid` must be a field of a live map value.
#[inline(always)]
unsafe fn owed<K: Kernel>(kernel: K, unpaid: *mut u64, price: u64) -> u64 {
    // SAFETY: as the caller promises.
    let owed = unsafe { kernel.fetch_add(unpaid, price) } + price;
    if owed < SLICE_NS {
        return 0;
    }
    // A hit that interrupted this one has entered it, or will.
    // SAFETY: as above.
    if unsafe { kernel.exchange(unpaid, owed, 0) } == owed {
        owed
    } else {
        0
    }
}

/// Counts a hit on a collection or a stop, and charges for it.
///
/// # Safety
///
/// `figures` must be a live map value.
#[inline(always)]
pub(super) unsafe fn charge_stop<K: Kernel>(
    kernel: K,
    figures: *mut GcFigures,
    process: ProcessKey,
    target: u32,
) {
    // SAFETY: as the caller promises.
    let before = unsafe { kernel.fetch_add(&raw mut (*figures).hits, 1) };
    if before % STOPS == STOPS - 1 {
        enter_stops(kernel, process, target);
    }
}

#[inline(never)]
fn enter_goroutines<K: Kernel>(kernel: K, process: ProcessKey, target: u32, spent_ns: u64) {
    enter(kernel, process, target, spent_ns, EventKind::TooMuchAtOnce);
}

#[inline(never)]
fn enter_spans<K: Kernel>(kernel: K, process: ProcessKey, target: u32, spent_ns: u64) {
    enter(kernel, process, target, spent_ns, EventKind::TooManySpans);
}

#[inline(never)]
fn enter_stops<K: Kernel>(kernel: K, process: ProcessKey, target: u32) {
    if let Some(figures) = kernel.target(target) {
        // SAFETY: a live map value.
        let price = unsafe { kernel.load(&raw const (*figures).stop_price_ns) };
        enter(
            kernel,
            process,
            target,
            STOPS * price,
            EventKind::TooManyStops,
        );
    }
}

/// Enters what was spent. Two CPUs at once may lose the entry of one, and the next
/// is soon there.
#[inline(always)]
fn enter<K: Kernel>(kernel: K, process: ProcessKey, target: u32, spent_ns: u64, kind: EventKind) {
    let (repayment, burst_ns) = (kernel.repayment(), kernel.burst_ns());
    if repayment == 0 {
        return;
    }
    let now = kernel.now();
    let Some(account) = account_of(kernel, process, target, now, kind) else {
        return;
    };
    // SAFETY: a field of a live map value.
    let repaid_at_ns = unsafe { kernel.load(account) };
    let (then, is_too_much) = entered(
        repaid_at_ns,
        now,
        spent_ns * repayment,
        burst_ns * repayment,
    );
    // SAFETY: as above.
    unsafe { kernel.store(account, then) };
    if is_too_much {
        kernel.send(&Fields::new(kind, process, target));
    }
}

/// The account for a kind of hits: the file's while the process is young, and its
/// own later.
#[inline(always)]
fn account_of<K: Kernel>(
    kernel: K,
    process: ProcessKey,
    target: u32,
    now: u64,
    kind: EventKind,
) -> Option<*mut u64> {
    let age = ((now >> 10) as u32).wrapping_sub(process.epoch);
    if age < YOUNG {
        let target = kernel.target(target)?;
        // SAFETY: a live map value.
        Some(unsafe {
            match kind {
                EventKind::TooManyStops => &raw mut (*target).stops_repaid_at_ns,
                EventKind::TooManySpans => &raw mut (*target).spans_repaid_at_ns,
                _ => &raw mut (*target).repaid_at_ns,
            }
        })
    } else {
        let registration = kernel.registration(process.tgid)?;
        // SAFETY: a live map value.
        Some(unsafe {
            match kind {
                EventKind::TooManyStops => &raw mut (*registration).stops_repaid_at_ns,
                EventKind::TooManySpans => &raw mut (*registration).spans_repaid_at_ns,
                _ => &raw mut (*registration).repaid_at_ns,
            }
        })
    }
}

/// What an account becomes where `back` more is to be paid back, and whether that
/// lies more than `burst` ahead.
#[inline(always)]
pub(super) const fn entered(repaid_at_ns: u64, now: u64, back: u64, burst: u64) -> (u64, bool) {
    let begin = if repaid_at_ns > now {
        repaid_at_ns
    } else {
        now
    };
    let then = begin + back;
    if then - now > burst {
        // What user space was told of is settled. While probes stay it is told again.
        (now, true)
    } else {
        (then, false)
    }
}
