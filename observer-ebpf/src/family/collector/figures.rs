//! What is known of a process's collector, and of its stops: one value of one map,
//! since stops are what a cycle consists of.

#[cfg(any(test, feature = "user"))]
use crate::family::{ProcessCounts, plus};
use crate::{STOPS_KEPT, STW_REASONS, StopFigures, StopRecord, TimeHistogram};

/// Kinds of `gcTrigger`, plus one for a cycle whose trigger was not seen:
/// 0 heap, 1 time, 2 cycle (forced), 3 not seen.
pub const GC_TRIGGERS: usize = 4;

/// How many goroutines `gcStart` is remembered for.
pub const PENDING_TRIGGERS: usize = 32;

/// What is known of a process's collector and of its stops. Stops exclude
/// each other (the runtime's `worldsema`), so one copy, not one per CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct GcFigures {
    /// Cycles begun, by trigger.
    pub started: [u64; GC_TRIGGERS],
    /// Cycles whose mark termination ended, by trigger.
    pub completed: [u64; GC_TRIGGERS],
    /// Sum of the pauses of cycles seen whole, as `MemStats.PauseTotalNs` adds them.
    pub pause_total_ns: u64,
    /// Sum of the durations of concurrent mark, of cycles seen whole.
    pub mark_ns: u64,
    /// Cycles in `pause_total_ns` and `mark_ns`.
    pub whole_cycles: u64,
    /// The last cycle seen whole.
    pub last: GcCycleFigures,
    /// Stops of the world by [`StwReason`].
    pub stops: [StopFigures; STW_REASONS],
    /// `/sched/pauses/total/gc:seconds`.
    pub total_gc: TimeHistogram,
    /// `/sched/pauses/total/other:seconds`.
    pub total_other: TimeHistogram,
    /// `/sched/pauses/stopping/gc:seconds` (1.22+).
    pub stopping_gc: TimeHistogram,
    /// `/sched/pauses/stopping/other:seconds` (1.22+).
    pub stopping_other: TimeHistogram,
    /// Probe hits at the sites that write here.
    pub hits: u64,
    /// Stops recorded in `recent_stops`. Before them, since a copy is made from
    /// the front: what it counts is written whole in the copy. arm64 may read some of
    /// it ahead; whoever takes records looks whether each is younger than the last.
    pub stops_recorded: u64,
    /// The latest stops, each at its number modulo [`STOPS_KEPT`].
    pub recent_stops: [StopRecord; STOPS_KEPT],

    // What the programs remember between one site and the next.
    /// Goroutines on their way through `gcStart`, each with its trigger in the
    /// lowest bits; 0 for a free place.
    pub pending: [u64; PENDING_TRIGGERS],
    /// Which of `pending` is overwritten next, where none is free.
    pub pending_next: u64,
    /// Up to 1.20: stops that have said their reason and have not ended; see
    /// `machine::waiting`.
    pub reasons_pending: u64,
    /// Trigger of the cycle that runs.
    pub trigger: u32,
    /// How much of the cycle that runs was seen: [`CYCLE_UNSEEN`],
    /// [`CYCLE_BEGUN`] or [`CYCLE_MARKING`].
    pub cycle_seen: u32,
    /// Reason of the stop that goes on, as [`StwReason`].
    pub reason: u32,
    /// Always 0.
    pub padding: u32,
    /// When that stop began (CLOCK_MONOTONIC); 0 for none.
    pub stop_began: u64,
    /// Its stopping time, where a site told it (1.22), and one more: where the clock of a
    /// machine ticks every 40 ns, none may have passed. 0 for not told.
    pub stopping_ns: u64,
    /// The [`SiteKind`](crate::SiteKind) that said what stop is ending, until
    /// the return of `startTheWorldWithSema` completes it; else 0.
    pub start_kind: u64,
    /// Pauses so far of the cycle that runs.
    pub cycle: GcCycleFigures,
}

/// Nothing of the cycle was seen, or none runs.
pub const CYCLE_UNSEEN: u32 = 0;
/// `gcBgMarkStartWorkers` was seen.
pub const CYCLE_BEGUN: u32 = 1;
/// The sweep termination pause was seen from its start to its end.
pub const CYCLE_MARKING: u32 = 2;

impl GcFigures {
    /// Figures of a process of which nothing was seen yet.
    pub const ZERO: Self = Self {
        started: [0; GC_TRIGGERS],
        completed: [0; GC_TRIGGERS],
        pause_total_ns: 0,
        mark_ns: 0,
        whole_cycles: 0,
        last: GcCycleFigures::ZERO,
        stops: [StopFigures {
            count: 0,
            total_ns: 0,
            stopping_ns: 0,
        }; STW_REASONS],
        total_gc: TimeHistogram::ZERO,
        total_other: TimeHistogram::ZERO,
        stopping_gc: TimeHistogram::ZERO,
        stopping_other: TimeHistogram::ZERO,
        hits: 0,
        stops_recorded: 0,
        recent_stops: [StopRecord::ZERO; STOPS_KEPT],
        pending: [0; PENDING_TRIGGERS],
        pending_next: 0,
        trigger: 0,
        cycle_seen: CYCLE_UNSEEN,
        reason: 0,
        padding: 0,
        stop_began: 0,
        stopping_ns: 0,
        start_kind: 0,
        reasons_pending: 0,
        cycle: GcCycleFigures::ZERO,
    };
}

/// The parts of one cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct GcCycleFigures {
    /// When sweep termination began (CLOCK_MONOTONIC).
    pub began: u64,
    /// The sweep termination pause.
    pub sweep_termination_ns: u64,
    /// When the world ran again after it: concurrent mark begins.
    pub mark_began: u64,
    /// Concurrent mark, until the last stop for mark termination, without the
    /// pauses that ended in a restart.
    pub mark_ns: u64,
    /// The mark termination pauses, restarts included.
    pub mark_termination_ns: u64,
}

impl GcCycleFigures {
    /// No part known.
    pub const ZERO: Self = Self {
        began: 0,
        sweep_termination_ns: 0,
        mark_began: 0,
        mark_ns: 0,
        mark_termination_ns: 0,
    };

    /// What the cycle adds to `MemStats.PauseTotalNs`.
    pub const fn pause_ns(&self) -> u64 {
        self.sweep_termination_ns + self.mark_termination_ns
    }
}

#[cfg(any(test, feature = "user"))]
impl GcFigures {
    /// Forgets a stop and a cycle that were under way when the probes left: nobody
    /// saw how they ended.
    pub fn forget_unfinished(&mut self) {
        let Self {
            pending,
            pending_next,
            reasons_pending,
            trigger,
            cycle_seen,
            reason,
            stop_began,
            stopping_ns,
            start_kind,
            cycle,
            ..
        } = Self::ZERO;
        *self = Self {
            pending,
            pending_next,
            reasons_pending,
            trigger,
            cycle_seen,
            reason,
            stop_began,
            stopping_ns,
            start_kind,
            cycle,
            ..*self
        };
    }

    /// Whether both are the same. `==` calls `memcmp` for each array, which
    /// with musl looks at one byte at a time: these are seven kilobytes.
    pub fn same(&self, other: &Self) -> bool {
        let differ = |differ, (left, right): (&u64, &u64)| differ | (left ^ right);
        self.words().iter().zip(other.words()).fold(0, differ) == 0
    }

    fn words(&self) -> &[u64] {
        const {
            assert!(align_of::<GcFigures>() == 8 && size_of::<GcFigures>().is_multiple_of(8));
        }
        // SAFETY: `repr(C)`, only integers and no padding, as `padding.rs` checks, so
        // all of it is initialized; aligned as asserted, and borrowed as long as `self`.
        unsafe { core::slice::from_raw_parts((&raw const *self).cast(), size_of::<Self>() / 8) }
    }
}

#[cfg(any(test, feature = "user"))]
impl ProcessCounts for GcFigures {
    /// Adds what only grows; the rest is of no use once a process has ended.
    fn add(&mut self, more: &Self) {
        for (into, more) in [
            (&mut self.started, &more.started),
            (&mut self.completed, &more.completed),
        ] {
            for (into, more) in into.iter_mut().zip(more) {
                plus(into, *more);
            }
        }
        plus(&mut self.pause_total_ns, more.pause_total_ns);
        plus(&mut self.mark_ns, more.mark_ns);
        plus(&mut self.whole_cycles, more.whole_cycles);
        plus(&mut self.hits, more.hits);
        for (into, more) in self.stops.iter_mut().zip(&more.stops) {
            into.add(more);
        }
        self.total_gc.add(&more.total_gc);
        self.total_other.add(&more.total_other);
        self.stopping_gc.add(&more.stopping_gc);
        self.stopping_other.add(&more.stopping_other);
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}

#[cfg(feature = "user")]
// SAFETY: `repr(C)`, only integers and no padding, as `padding.rs` checks.
unsafe impl aya::Pod for GcFigures {}
