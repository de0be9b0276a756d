//! What probes take from a program, and the word to user space where that is too
//! much at once.
//!
//! Each hit on a goroutine adds its price to what its process owes on this CPU. Only
//! once a slice has come together it is entered in an account, with a look at the
//! clock, so that a hit pays one addition for it. Those on collections and stops are
//! counted anyway, and entered many together in an account of their own. An account is a time: the one at which all that
//! was spent is paid back, at the rate that is allowed. Where it lies further ahead
//! than a burst may bring it, user space is told, which takes the probes off.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use observer_ebpf::{Cookie, EventKind, GcFigures, GoroutineFigures, ProcessKey};

use crate::{
    atomic,
    events::{Fields, send},
    maps::{PROCESSES, TARGETS},
};

/// Nanoseconds that one of spending takes to be paid back; 0 where nothing is too
/// much. User space patches it in, as what follows.
#[unsafe(no_mangle)]
static REPAYMENT: u64 = 0;
/// Nanoseconds that may be spent at once.
#[unsafe(no_mangle)]
static BURST_NS: u64 = 0;

/// What is entered at a time, in nanoseconds.
const SLICE_NS: u64 = 1 << 16;
/// How long after it began, in the units of epochs (a microsecond), a process is
/// charged to its file. Programs that end shortly spend too little each to be
/// noticed alone.
const YOUNG: u32 = 1 << 20;
/// How many hits on collections and stops are entered together.
const STOPS: u64 = 64;

/// Charges a hit.
///
/// # Safety
///
/// `figures` must be a live map value.
#[inline(always)]
pub(crate) unsafe fn charge(figures: *mut GoroutineFigures, process: ProcessKey, cookie: Cookie) {
    let price = cookie.price_ns();
    // SAFETY: as the caller promises.
    let unpaid = unsafe { &raw mut (*figures).unpaid_ns };
    // SAFETY: as above.
    let owed = unsafe { atomic::fetch_add(unpaid, price) } + price;
    if owed < SLICE_NS {
        return;
    }
    // Who interrupted this hit has entered it, or will.
    // SAFETY: as above.
    if unsafe { atomic::exchange(unpaid, owed, 0) } == owed {
        enter_goroutines(process, cookie.target(), owed);
    }
}

/// Counts a hit on a collection or a stop, and charges for it.
///
/// # Safety
///
/// `figures` must be a live map value.
#[inline(always)]
pub(crate) unsafe fn charge_stop(figures: *mut GcFigures, process: ProcessKey, target: u32) {
    // SAFETY: as the caller promises.
    let before = unsafe { atomic::fetch_add(&raw mut (*figures).hits, 1) };
    if before % STOPS == STOPS - 1 {
        enter_stops(process, target);
    }
}

#[inline(never)]
fn enter_goroutines(process: ProcessKey, target: u32, spent_ns: u64) {
    enter(process, target, spent_ns, EventKind::TooMuchAtOnce);
}

#[inline(never)]
fn enter_stops(process: ProcessKey, target: u32) {
    if let Some(figures) = TARGETS.get_ptr(&target) {
        // SAFETY: a live map value.
        let price = unsafe { core::ptr::read_volatile(&raw const (*figures).stop_price_ns) };
        enter(process, target, STOPS * price, EventKind::TooManyStops);
    }
}

/// Enters what was spent. Two CPUs at once may lose the entry of one, and the next
/// is soon there.
#[inline(always)]
fn enter(process: ProcessKey, target: u32, spent_ns: u64, kind: EventKind) {
    let is_stop = matches!(kind, EventKind::TooManyStops);
    // SAFETY: statics of this type; the compiler must not take their zeros.
    let (repayment, burst_ns) = unsafe {
        (
            core::ptr::read_volatile(&raw const REPAYMENT),
            core::ptr::read_volatile(&raw const BURST_NS),
        )
    };
    if repayment == 0 {
        return;
    }
    // SAFETY: the helper has no precondition.
    let now = unsafe { bpf_ktime_get_ns() };
    let age = ((now >> 10) as u32).wrapping_sub(process.epoch);
    let account = if age < YOUNG {
        let Some(target) = TARGETS.get_ptr_mut(&target) else {
            return;
        };
        // SAFETY: a live map value.
        unsafe {
            if is_stop {
                &raw mut (*target).stops_repaid_at
            } else {
                &raw mut (*target).repaid_at
            }
        }
    } else {
        let Some(registration) = PROCESSES.get_ptr_mut(&process.tgid) else {
            return;
        };
        // SAFETY: a live map value.
        unsafe {
            if is_stop {
                &raw mut (*registration).stops_repaid_at
            } else {
                &raw mut (*registration).repaid_at
            }
        }
    };
    // SAFETY: a field of a live map value.
    let repaid_at = unsafe { core::ptr::read_volatile(account) };
    let begin = if repaid_at > now { repaid_at } else { now };
    let then = begin + spent_ns * repayment;
    let too_much = then - now > burst_ns * repayment;
    // What user space was told of is settled. While probes stay it is told again.
    let then = if too_much { now } else { then };
    // SAFETY: as above.
    unsafe { core::ptr::write_volatile(account, then) };
    if too_much {
        send(&Fields {
            kind,
            process,
            old_epoch: 0,
            target,
            parent: 0,
            parent_cgroup: 0,
        });
    }
}
