//! Stops of the world: their reason, how long they took, which belong to a
//! cycle. The runtime's `worldsema` excludes one stop from another, so plain
//! writes do.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use observer_ebpf::{
    Abi, CYCLE_UNSEEN, Cookie, GC_TRIGGERS, GcFigures, ProcessKey, STOPS_KEPT, STW_REASONS,
    SiteKind, StopFigures, StopRecord, StwReason, TIME_HISTOGRAM_BUCKETS, TimeHistogram, pending,
};

use crate::{
    atomic,
    gc::{self, figures, mark_restarted, mark_terminated, sweep_terminated},
    maps::TARGETS,
    opaque::opaque,
    registers::Registers,
    user_memory::read,
};

const MARK_TERMINATION: u32 = StwReason::GcMarkTermination as u32;
const SWEEP_TERMINATION: u32 = StwReason::GcSweepTermination as u32;
const UNKNOWN: u32 = StwReason::Unknown as u32;
/// Tries to change a word that others change too; each can fail only where another
/// thread has succeeded.
const EXCHANGES: usize = 16;

/// A hit at a site of `stopTheWorld…` or `startTheWorld…`.
#[inline(always)]
pub(crate) fn hit(process: ProcessKey, kind: SiteKind, cookie: Cookie, regs: Registers) {
    let Some(gc) = figures(process, cookie.target()) else {
        return;
    };
    match kind {
        SiteKind::StopReason => reason_given(gc, reason_of(regs.rax, regs.rbx)),
        SiteKind::StopTheWorld => stop(gc, cookie.aux(), regs.rax),
        // SAFETY: a live map value.
        SiteKind::Stopped => unsafe { (*gc).stopping_ns = regs.rbx },
        SiteKind::StartTheWorld => start(gc, cookie.aux(), regs),
        SiteKind::StartTheWorldReturn => started(gc, regs.rax),
        SiteKind::StartAfterOther => start_other(gc),
        SiteKind::StartAfterSweepTermination
        | SiteKind::StartAfterMarkTermination
        | SiteKind::StartBeforeMarkRestart => {
            start_collector(
                gc,
                cookie.target(),
                kind,
                pause_start_at(regs.rip, cookie.aux()),
            );
        }
        _ => {}
    }
}

/// `stopTheWorldWithSema` is entered.
#[inline(always)]
fn stop(gc: *mut GcFigures, abi: i32, rax: u64) {
    // SAFETY: a live map value; the helper has no precondition.
    unsafe {
        (*gc).start_kind = 0;
        (*gc).stopping_ns = 0;
        (*gc).stop_began = bpf_ktime_get_ns();
        (*gc).reason = if abi == Abi::NoReason as i32 {
            UNKNOWN
        } else {
            known(rax)
        };
    }
}

/// 1.22 and newer: `startTheWorldWithSema` is entered and told what it ends.
#[inline(always)]
fn start(gc: *mut GcFigures, abi: i32, regs: Registers) {
    let reason = known(regs.rbx);
    let began = regs.rcx;
    // SAFETY: a live map value.
    unsafe {
        let stopping = if abi == Abi::WorldStopFinished as i32 {
            Some(regs.rdi.wrapping_sub(began))
        } else if (*gc).stopping_ns != 0 {
            Some((*gc).stopping_ns)
        } else {
            None
        };
        (*gc).stopping_ns = 0;
        if let Some(stopping) = stopping {
            (*of_reason(gc, reason)).stopping_ns += stopping;
            record(
                if is_gc(reason) {
                    &raw mut (*gc).stopping_gc
                } else {
                    &raw mut (*gc).stopping_other
                },
                stopping,
            );
        }
        if regs.rax != 0 {
            // The caller took the time itself: mark termination, which ends the cycle.
            (*gc).start_kind = 0;
            let pause = regs.rax.wrapping_sub(began);
            let last = reason == MARK_TERMINATION;
            ended(gc, reason, (began, pause), last);
            if last {
                mark_terminated(gc, began, Some(pause));
            }
        } else {
            (*gc).start_kind = SiteKind::StartTheWorld as u64;
            (*gc).stop_began = began;
            (*gc).reason = reason;
        }
    }
}

/// Up to 1.21: a stop that was not the collector's is about to end.
#[inline(always)]
fn start_other(gc: *mut GcFigures) {
    // SAFETY: a live map value.
    unsafe {
        let given = &raw mut (*gc).reasons_pending;
        if let Some(reason) = pending::taken(given.read_volatile()) {
            (*gc).reason = reason;
            atomic::add(given, u64::MAX);
        }
        (*gc).start_kind = if (*gc).stop_began == 0 {
            0
        } else {
            SiteKind::StartAfterOther as u64
        };
    }
}

/// Up to 1.21: one of the collector's stops is about to end.
#[inline(always)]
fn start_collector(
    gc: *mut GcFigures,
    target: u32,
    kind: SiteKind,
    pause_start: Option<(u64, u64)>,
) {
    let last = matches!(kind, SiteKind::StartAfterMarkTermination);
    // SAFETY: a live map value.
    unsafe {
        (*gc).start_kind = 0;
        (*gc).stop_began = 0;
        let Some((address, began)) = pause_start else {
            // The cycle is not seen whole any more.
            gc::spoil(gc);
            if last {
                mark_terminated(gc, 0, None);
            }
            return;
        };
        if last {
            let pause = last_gc(target, address).map(|end| end.wrapping_sub(began));
            if let Some(pause) = pause {
                ended(gc, MARK_TERMINATION, (began, pause), true);
            }
            mark_terminated(gc, began, pause);
            return;
        }
        (*gc).reason = if matches!(kind, SiteKind::StartAfterSweepTermination) {
            SWEEP_TERMINATION
        } else {
            MARK_TERMINATION
        };
        (*gc).stop_began = began;
        (*gc).start_kind = kind as u64;
    }
}

/// `startTheWorldWithSema` returns: the world runs, since `now`.
#[inline(always)]
fn started(gc: *mut GcFigures, now: u64) {
    // SAFETY: a live map value.
    unsafe {
        // Complete, or its start was not seen.
        if (*gc).start_kind == 0 {
            return;
        }
        let began = (*gc).stop_began;
        let reason = (*gc).reason;
        let pause = now.wrapping_sub(began);
        (*gc).start_kind = 0;
        (*gc).stop_began = 0;
        // First, so that the stop is recorded as the new cycle's.
        if reason == SWEEP_TERMINATION {
            sweep_terminated(gc, began, now);
        } else if reason == MARK_TERMINATION {
            mark_restarted(gc, pause);
        }
        ended(gc, reason, (began, pause), false);
    }
}

/// Counts a stop, and keeps for a while when it began and how long it took.
#[inline(always)]
fn ended(gc: *mut GcFigures, reason: u32, (began, pause): (u64, u64), ends_cycle: bool) {
    // SAFETY: a live map value.
    unsafe {
        let kept = kept(gc, (*gc).stops_recorded);
        (*kept).began = began;
        (*kept).pause_ns = pause;
        (*kept).reason = reason;
        (*kept).trigger = if (*gc).cycle_seen == CYCLE_UNSEEN {
            GC_TRIGGERS as u16 - 1
        } else {
            (*gc).trigger as u16
        };
        (*kept).ends_cycle = ends_cycle as u16;
        // Whoever reads takes only what is counted.
        let recorded = &raw mut (*gc).stops_recorded;
        recorded.write_volatile((*gc).stops_recorded + 1);
        let stops = of_reason(gc, reason);
        (*stops).count += 1;
        (*stops).total_ns += pause;
        record(
            if is_gc(reason) {
                &raw mut (*gc).total_gc
            } else {
                &raw mut (*gc).total_other
            },
            pause,
        );
    }
}

/// Where the stop of a number is kept.
#[inline(always)]
fn kept(gc: *mut GcFigures, number: u64) -> *mut StopRecord {
    let place = opaque(number as usize) % STOPS_KEPT;
    // SAFETY: a live map value, and the index is in range.
    unsafe {
        (&raw mut (*gc).recent_stops)
            .cast::<StopRecord>()
            .add(place)
    }
}

/// The figures of stops for a reason.
#[inline(always)]
fn of_reason(gc: *mut GcFigures, reason: u32) -> *mut StopFigures {
    let place = opaque(reason as usize);
    let place = if place < STW_REASONS {
        place
    } else {
        UNKNOWN as usize
    };
    // SAFETY: a live map value, and the index is in range.
    unsafe { (&raw mut (*gc).stops).cast::<StopFigures>().add(place) }
}

#[inline(never)]
fn record(histogram: *mut TimeHistogram, ns: u64) {
    // SAFETY: a field of a live map value.
    unsafe {
        (*histogram).sum_ns += ns;
        let counts = &raw mut (*histogram).counts;
        let bucket = opaque(TimeHistogram::bucket(ns).unwrap_or(TIME_HISTOGRAM_BUCKETS));
        if bucket < TIME_HISTOGRAM_BUCKETS {
            *counts.cast::<u32>().add(bucket) += 1;
        } else {
            (*histogram).overflow += 1;
        }
    }
}

/// `stwReason.isGC`.
#[inline(always)]
fn is_gc(reason: u32) -> bool {
    reason == MARK_TERMINATION || reason == SWEEP_TERMINATION
}

/// A reason's number from the low byte of a register.
#[inline(always)]
fn known(register: u64) -> u32 {
    let reason = register as u8 as u32;
    if reason < STW_REASONS as u32 {
        reason
    } else {
        UNKNOWN
    }
}

/// Up to 1.21: the address of `work.pauseStart`, and what it holds.
#[inline(always)]
fn pause_start_at(rip: u64, distance: i32) -> Option<(u64, u64)> {
    let address = rip.wrapping_add(distance as i64 as u64);
    read(address).map(|began| (address, began))
}

/// Up to 1.21: `memstats.last_gc_nanotime`, which mark termination has just set.
#[inline(always)]
fn last_gc(target: u32, pause_start: u64) -> Option<u64> {
    // SAFETY: the map's entries are changed as a whole by user space only.
    let distance = unsafe { TARGETS.get(&target) }?.last_gc_from_pause_start;
    if distance == 0 {
        return None;
    }
    read(pause_start.wrapping_add(distance as u64))
}

/// Up to 1.20: `stopTheWorld` says why before it waits for its turn. Where
/// several wait for different reasons, which of them goes first is not seen.
#[inline(always)]
fn reason_given(gc: *mut GcFigures, reason: u32) {
    // SAFETY: a live map value.
    unsafe {
        let given = &raw mut (*gc).reasons_pending;
        let mut was = given.read_volatile();
        for _ in 0..EXCHANGES {
            let found = atomic::exchange(given, was, pending::given(was, reason));
            if found == was {
                return;
            }
            was = found;
        }
        let (one, different) = pending::ONE_MORE;
        atomic::add(given, one);
        atomic::set(given, different);
    }
}

/// Up to 1.20 the reason is a string constant of the runtime: its length and
/// its first seven bytes tell which.
#[inline(always)]
fn reason_of(text: u64, len: u64) -> u32 {
    const fn word(text: &[u8; 7]) -> u64 {
        u64::from_le_bytes([
            text[0], text[1], text[2], text[3], text[4], text[5], text[6], 0,
        ])
    }
    const REASONS: [(u64, u64, StwReason); 9] = [
        (14, word(b"read me"), StwReason::ReadMemStats),
        (10, word(b"GOMAXPR"), StwReason::Gomaxprocs),
        (11, word(b"stack t"), StwReason::AllGoroutinesStack),
        (7, word(b"profile"), StwReason::GoroutineProfile),
        (15, word(b"profile"), StwReason::GoroutineProfileCleanup),
        (15, word(b"write h"), StwReason::WriteHeapDump),
        (19, word(b"doAllTh"), StwReason::AllThreadsSyscall),
        (13, word(b"start t"), StwReason::StartTrace),
        (12, word(b"stop tr"), StwReason::StopTrace),
    ];
    let Some(first) = read::<[u8; 7]>(text) else {
        return UNKNOWN;
    };
    let first = word(&first);
    for (known_len, known_first, reason) in REASONS {
        if len == known_len && first == known_first {
            return reason as u32;
        }
    }
    UNKNOWN
}
