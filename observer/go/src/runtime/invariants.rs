//! Whether what was read can be true: once against what the runtime's own
//! invariants say about places, and at every sample against the last one.

use super::{
    error::StateError,
    figures::{CollectorCpu, StateFigures},
    memory::word,
    raw_sample::RawSample,
};
use crate::release::Layout;

/// `defaultHeapMinimum`: the least heap goal at GOGC=100.
const HEAP_MINIMUM: u64 = 4 << 20;
/// More than Go's heap can have. On x86-64 and arm64 alike it is within 48 bits of addresses
/// (`heapAddrBits`), be they of 52 or 57 on this machine: beyond 48 the kernel maps only for
/// who asks, and Go never does.
const MOST_BYTES: u64 = 1 << 48;
/// More threads than Linux can have (`PID_MAX_LIMIT`).
const MOST_THREADS: u64 = 1 << 22;
/// More than a program can have counted of anything, be it allocated bytes.
const MOST_EVER: u64 = 1 << 60;
/// More than one place of a histogram can have counted.
const MOST_IN_PLACE: u64 = 1 << 52;
/// The runtime's times are signed.
const MOST_NS: u64 = i64::MAX as u64;
/// Goroutines that may become ready between two looks, beside a full queue of each P.
const MOST_READY: u64 = 4096;
/// GOGC above this is not believed.
const MOST_PERCENT: i64 = 1 << 30;

/// Relations that hold only if every global is where it is believed to be,
/// before the first figure is used.
pub(super) fn places(layout: &Layout, snapshot: &RawSample) -> Result<(), StateError> {
    for (i, p) in snapshot.processors().enumerate() {
        let id = layout.p.id.of(p);
        if id != i as u64 {
            return Err(StateError::unconfirmed("allp", "p.id", id));
        }
    }
    let sched = snapshot.sched();
    let most = layout.sched.threads_most.signed(sched);
    let (made, freed) = (
        layout.sched.threads_made.signed(sched),
        layout.sched.threads_freed.signed(sched),
    );
    if most <= 0 || made <= 0 || freed < 0 || freed >= made {
        return Err(StateError::unconfirmed("sched", "mnext", made as u64));
    }
    let controller = snapshot.controller();
    let percent = layout.controller.percent.signed(controller);
    let minimum = layout.controller.heap_minimum.of(controller);
    let right = percent < 0 || minimum == HEAP_MINIMUM * percent as u64 / 100;
    if !(-1..=MOST_PERCENT).contains(&percent) || !right {
        return Err(StateError::unconfirmed(
            "gcController",
            "heapMinimum",
            minimum,
        ));
    }
    let memstats = snapshot.memstats();
    let cycles = layout.memstats.cycles.of(memstats);
    let last = layout.memstats.last_gc.of(memstats);
    let ended = match cycles.checked_sub(1) {
        Some(latest) => word(
            memstats,
            layout.memstats.pause_ends.offset + 8 * (latest % 256) as usize,
        ),
        None => 0,
    };
    if last != ended || layout.memstats.forced_cycles.of(memstats) > cycles {
        return Err(StateError::unconfirmed("memstats", "last_gc_unix", last));
    }
    Ok(())
}

/// Whether the parts of the collector's CPU time are its total.
pub(super) fn adds_up(cpu: &CollectorCpu) -> bool {
    let parts = [
        cpu.mark_assist_ns,
        cpu.mark_dedicated_ns,
        cpu.mark_idle_ns,
        cpu.pause_ns,
    ];
    let sum = parts
        .iter()
        .fold(0, |sum: u64, part| sum.wrapping_add(*part));
    let of_total = [sum, cpu.user_ns, cpu.idle_ns, cpu.scavenge_total_ns];
    let within = of_total.iter().all(|part| *part <= cpu.total_ns);
    // A cycle always pauses, so after the first one nothing here is zero.
    sum != 0 && sum == cpu.gc_total_ns && within && cpu.total_ns <= MOST_NS
}

/// Bounds that every sample keeps, and counters that only grow.
pub(super) fn values(now: &StateFigures, before: Option<&StateFigures>) -> Result<(), StateError> {
    let at_most = |figure, value: u64, most: u64| {
        if value > most {
            return Err(StateError::implausible(figure, value));
        }
        Ok(())
    };
    let (g, s, c) = (&now.goroutines, &now.scheduler, &now.collections);
    at_most("idle Ps", s.idle_processors, s.processors)?;
    at_most("forced cycles", c.forced, c.cycles)?;
    at_most("heap live", now.heap.live_bytes, MOST_BYTES)?;
    at_most("heap marked", now.heap.marked_bytes, MOST_BYTES)?;
    // One is there before it is counted, or was counted before it is gone.
    if let Some(created) = g.created
        && g.live > created.saturating_add(1024)
    {
        return Err(StateError::Contradicts {
            what: "the number of live goroutines",
            value: g.live,
            other: "that of those ever created",
            bound: created,
        });
    }
    if let Some(allocation) = &now.allocation {
        at_most("heap bytes", allocation.heap_bytes, MOST_BYTES)?;
        at_most("heap objects", allocation.heap_objects, MOST_BYTES / 8)?;
    }
    // Those of the runtime's own are in the queues and not among the live.
    let ready = MOST_READY + 257 * s.processors;
    if g.runnable > g.live.saturating_add(ready) {
        return Err(StateError::Contradicts {
            what: "the number of runnable goroutines",
            value: g.runnable,
            other: "that of live ones",
            bound: g.live,
        });
    }
    possible(now)?;
    let Some(before) = before else {
        return Ok(());
    };
    let grows = |figure, then: u64, now: u64| {
        if now < then {
            return Err(StateError::Backwards { figure, then, now });
        }
        Ok(())
    };
    let then = &before.collections;
    grows("cycles", then.cycles, c.cycles)?;
    grows("forced cycles", then.forced, c.forced)?;
    grows("pause total", then.pause_total_ns, c.pause_total_ns)?;
    let histograms = [
        (Some(&s.latencies), Some(&before.scheduler.latencies)),
        (c.pauses.as_ref(), then.pauses.as_ref()),
        (now.stops.gc_total.as_ref(), before.stops.gc_total.as_ref()),
        (
            now.stops.gc_stopping.as_ref(),
            before.stops.gc_stopping.as_ref(),
        ),
        (
            now.stops.other_total.as_ref(),
            before.stops.other_total.as_ref(),
        ),
        (
            now.stops.other_stopping.as_ref(),
            before.stops.other_stopping.as_ref(),
        ),
    ];
    for pair in histograms {
        if let (Some(now), Some(then)) = pair
            && !now.follows(then)
        {
            return Err(StateError::Backwards {
                figure: "histogram",
                then: then.count(),
                now: now.count(),
            });
        }
    }
    Ok(())
}

/// Whether no figure is one that no program can have.
fn possible(now: &StateFigures) -> Result<(), StateError> {
    let (g, s, c) = (&now.goroutines, &now.scheduler, &now.collections);
    let allocation = now.allocation.clone().unwrap_or_default();
    let limit = now.settings.memory_limit_bytes;
    for (figure, value, most) in [
        ("threads", s.threads, MOST_THREADS),
        ("goroutines created", g.created.unwrap_or(0), MOST_EVER),
        ("goroutine ids", g.ids.unwrap_or(0), MOST_EVER),
        ("goroutines exited", g.exited.unwrap_or(0), MOST_EVER),
        ("bytes allocated", allocation.total_bytes, MOST_EVER),
        ("mallocs", allocation.mallocs, MOST_EVER),
        ("mutex wait", s.mutex_wait_ns.unwrap_or(0), MOST_NS),
        ("memory limit", limit.unwrap_or(0), MOST_NS),
        ("pause total", c.pause_total_ns, MOST_NS),
        ("last collection", c.last_gc_unix_ns, MOST_NS),
    ] {
        if value > most {
            return Err(StateError::implausible(figure, value));
        }
    }
    // Each is a part of the total.
    let longest = c.recent.iter().map(|pause| pause.duration_ns).max();
    if let Some(longest) = longest.filter(|longest| *longest > c.pause_total_ns) {
        return Err(StateError::Contradicts {
            what: "a pause",
            value: longest,
            other: "all of them",
            bound: c.pause_total_ns,
        });
    }
    let histograms = [
        Some(&s.latencies),
        c.pauses.as_ref(),
        now.stops.gc_total.as_ref(),
        now.stops.gc_stopping.as_ref(),
        now.stops.other_total.as_ref(),
        now.stops.other_stopping.as_ref(),
    ];
    let mut counts = histograms.into_iter().flatten().flat_map(|h| h.since(None));
    match counts.find(|(_, count)| *count > MOST_IN_PLACE) {
        Some((_, count)) => Err(StateError::implausible("count of a histogram", count)),
        None => Ok(()),
    }
}

/// Keeps a counter that is put together from several places, read one after
/// the other, from going back. What it lacks for an instant is bounded by
/// `slack`; a larger step back is an error.
pub(super) fn hold(
    figure: &'static str,
    now: &mut u64,
    then: u64,
    slack: u64,
) -> Result<(), StateError> {
    if *now >= then {
        return Ok(());
    }
    if then - *now > slack {
        let now = *now;
        return Err(StateError::Backwards { figure, then, now });
    }
    *now = then;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::{hold, values};
    use crate::runtime::{StateError, StateFigures};

    #[test]
    fn counters_never_go_back() {
        let mut now = 95;
        hold("created", &mut now, 100, 10).unwrap();
        assert_eq!(now, 100);
        let mut lost = 5;
        assert!(hold("created", &mut lost, 100, 10).is_err());
    }

    #[test]
    fn impossible_values_are_refused() {
        let mut now = StateFigures::default();
        now.collections.cycles = 3;
        values(&now, None).unwrap();
        let mut later = now.clone();
        later.collections.cycles = 2;
        assert!(matches!(
            values(&later, Some(&now)),
            Err(StateError::Backwards {
                figure: "cycles",
                then: 3,
                now: 2
            })
        ));
        now.collections.forced = 4;
        assert!(matches!(
            values(&now, None),
            Err(StateError::Implausible { .. })
        ));
    }
}
