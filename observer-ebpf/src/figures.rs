//! What the maps hold.

use crate::TimeHistogram;

/// Goroutine counts of one process on one CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct GoroutineFigures {
    /// Goroutines created, the runtime's own included.
    pub created: u64,
    /// Goroutines ended, the runtime's own included.
    pub exited: u64,
    /// Of those created, the runtime's own (`isSystemGoroutine`).
    pub system_created: u64,
    /// Of those ended, the runtime's own.
    pub system_exited: u64,
    /// Batches of 16 goroutine ids taken.
    pub goid_refills: u64,
    /// Nanoseconds that the latest hits took, until they are charged.
    pub unpaid_ns: u64,
}

impl GoroutineFigures {
    /// No hit yet.
    pub const ZERO: Self = Self {
        created: 0,
        exited: 0,
        system_created: 0,
        system_exited: 0,
        goid_refills: 0,
        unpaid_ns: 0,
    };

    /// Probe hits in all.
    pub const fn hits(&self) -> u64 {
        self.created + self.exited + self.system_created + self.system_exited + self.goid_refills
    }

    /// The sum of two CPUs' copies.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            created: self.created + other.created,
            exited: self.exited + other.exited,
            system_created: self.system_created + other.system_created,
            system_exited: self.system_exited + other.system_exited,
            goid_refills: self.goid_refills + other.goid_refills,
            unpaid_ns: self.unpaid_ns + other.unpaid_ns,
        }
    }
}

/// Why the world was stopped; numbers as the runtime's `stwReason` (1.21+).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum StwReason {
    /// `stwUnknown`.
    Unknown = 0,
    /// `stwGCMarkTerm`.
    GcMarkTermination = 1,
    /// `stwGCSweepTerm`.
    GcSweepTermination = 2,
    /// `stwWriteHeapDump`.
    WriteHeapDump = 3,
    /// `stwGoroutineProfile`.
    GoroutineProfile = 4,
    /// `stwGoroutineProfileCleanup`.
    GoroutineProfileCleanup = 5,
    /// `stwAllGoroutinesStack`.
    AllGoroutinesStack = 6,
    /// `stwReadMemStats`.
    ReadMemStats = 7,
    /// `stwAllThreadsSyscall`.
    AllThreadsSyscall = 8,
    /// `stwGOMAXPROCS`.
    Gomaxprocs = 9,
    /// `stwStartTrace`.
    StartTrace = 10,
    /// `stwStopTrace`.
    StopTrace = 11,
}

/// How many values [`StwReason`] has. Higher numbers (the runtime's own
/// tests) count as unknown.
pub const STW_REASONS: usize = 12;

/// Stops of the world for one reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct StopFigures {
    /// Stops that ended.
    pub count: u64,
    /// Nanoseconds from the start of stopping until the world ran again.
    pub total_ns: u64,
    /// Nanoseconds of those until every P had stopped (1.22+).
    pub stopping_ns: u64,
}

/// How many of its latest stops a process's entry keeps: more than come between
/// two looks at a program that collects all the time.
pub const STOPS_KEPT: usize = 32;

/// One stop of the world that ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct StopRecord {
    /// When stopping began (CLOCK_MONOTONIC).
    pub began: u64,
    /// Nanoseconds until the world ran again.
    pub pause_ns: u64,
    /// Why, as [`StwReason`].
    pub reason: u32,
    /// Trigger of the cycle that ran, by its place in [`GcFigures::started`].
    pub trigger: u16,
    /// Whether it was the last of a cycle.
    pub ends_cycle: u16,
}

impl StopRecord {
    /// None yet.
    pub const ZERO: Self = Self {
        began: 0,
        pause_ns: 0,
        reason: 0,
        trigger: 0,
        ends_cycle: 0,
    };
}

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
    /// the front: what it counts is written whole in the copy.
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
    /// Its stopping time, where a site told it (1.22).
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

/// What user space tells the programs about a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Target {
    /// Distance from `work.pauseStart` to `memstats.last_gc_nanotime` (up to
    /// 1.21; 0 where not known).
    pub last_gc_from_pause_start: i64,
    /// What a hit on a collection or a stop takes, in nanoseconds.
    pub stop_price_ns: u64,
    /// As [`Registration::repaid_at`](crate::Registration::repaid_at), of its young
    /// processes together. Kept by the programs.
    pub repaid_at: u64,
    /// The same of collections and stops.
    pub stops_repaid_at: u64,
}

/// The programs' own state, one copy per CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Health {
    /// Insertions the PROCESSES map refused.
    pub refused_processes: u64,
    /// Insertions the GOROUTINES map refused.
    pub refused_goroutines: u64,
    /// Insertions the GC map refused.
    pub refused_gc: u64,
    /// Events for which the ring buffer had no room.
    pub lost_events: u64,
    /// Hits left out because another target owns the process.
    pub alias_hits: u64,
    /// Reads of a target's memory that failed.
    pub failed_reads: u64,
    /// Exec, fork and exit tracepoints seen.
    pub process_events: u64,
}

impl Health {
    /// The sum of two copies.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            refused_processes: self.refused_processes + other.refused_processes,
            refused_goroutines: self.refused_goroutines + other.refused_goroutines,
            refused_gc: self.refused_gc + other.refused_gc,
            lost_events: self.lost_events + other.lost_events,
            alias_hits: self.alias_hits + other.alias_hits,
            failed_reads: self.failed_reads + other.failed_reads,
            process_events: self.process_events + other.process_events,
        }
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

#[cfg(feature = "user")]
mod pod {
    use super::{GcFigures, GoroutineFigures, Health, Target};

    // SAFETY: as all of them: `repr(C)`, only integers and no padding, as
    // `padding.rs` checks.
    unsafe impl aya::Pod for GoroutineFigures {}
    // SAFETY: as above.
    unsafe impl aya::Pod for GcFigures {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Target {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Health {}
}
