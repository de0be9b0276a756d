//! What the maps hold besides the figures of families.

/// What user space tells the programs about a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Target {
    /// Distance from `work.pauseStart` to `memstats.last_gc_nanotime` (up to
    /// 1.21; 0 where not known).
    pub last_gc_from_pause_start: i64,
    /// What a hit on a collection or a stop takes, in nanoseconds.
    pub stop_price_ns: u64,
    /// As [`Registration::repaid_at_ns`](crate::Registration::repaid_at_ns), of its young
    /// processes together. Kept by the programs.
    pub repaid_at_ns: u64,
    /// The same of collections and stops.
    pub stops_repaid_at_ns: u64,
    /// The same of spans.
    pub spans_repaid_at_ns: u64,
}

/// The programs' own state, one copy per CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ProgramHealth {
    /// Insertions the PROCESSES map refused.
    pub refused_processes: u64,
    /// Insertions the GOROUTINES map refused.
    pub refused_goroutines: u64,
    /// Insertions the GC map refused.
    pub refused_gc: u64,
    /// Insertions the SPANS and IN_FLIGHT maps refused.
    pub refused_spans: u64,
    /// Events for which the ring buffer had no room.
    pub lost_events: u64,
    /// Hits left out because another target owns the process.
    pub alias_hits: u64,
    /// Reads of a target's memory that failed.
    pub failed_reads: u64,
    /// Exec, fork and exit tracepoints seen.
    pub process_events: u64,
}

impl ProgramHealth {
    /// The sum of two copies.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            refused_processes: self.refused_processes + other.refused_processes,
            refused_goroutines: self.refused_goroutines + other.refused_goroutines,
            refused_gc: self.refused_gc + other.refused_gc,
            refused_spans: self.refused_spans + other.refused_spans,
            lost_events: self.lost_events + other.lost_events,
            alias_hits: self.alias_hits + other.alias_hits,
            failed_reads: self.failed_reads + other.failed_reads,
            process_events: self.process_events + other.process_events,
        }
    }
}

#[cfg(feature = "user")]
mod pod {
    use super::{ProgramHealth, Target};

    // SAFETY: as all of them: `repr(C)`, only integers and no padding, as
    // `padding.rs` checks.
    unsafe impl aya::Pod for Target {}
    // SAFETY: as above.
    unsafe impl aya::Pod for ProgramHealth {}
}
