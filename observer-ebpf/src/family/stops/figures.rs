//! How often, for how long and why the world of a process was stopped.

#[cfg(any(test, feature = "user"))]
use crate::family::plus;

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

#[cfg(any(test, feature = "user"))]
impl StopFigures {
    /// Adds those of another process.
    pub fn add(&mut self, more: &Self) {
        plus(&mut self.count, more.count);
        plus(&mut self.total_ns, more.total_ns);
        plus(&mut self.stopping_ns, more.stopping_ns);
    }
}
