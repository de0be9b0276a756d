//! Label values of what the runtime numbers.

use observer_ebpf::{GC_TRIGGERS, STW_REASONS, StwReason};

/// Reasons of stops of the world, by the number of [`StwReason`].
pub(crate) const STOP_REASONS: [&str; STW_REASONS] = [
    "unknown",
    "gc_mark_termination",
    "gc_sweep_termination",
    "write_heap_dump",
    "goroutine_profile",
    "goroutine_profile_cleanup",
    "all_goroutines_stack",
    "read_mem_stats",
    "all_threads_syscall",
    "gomaxprocs",
    "start_trace",
    "stop_trace",
];

/// Triggers of collections, by the number of `gcTrigger.kind`; the last is a
/// cycle whose trigger was not seen.
pub(crate) const TRIGGERS: [&str; GC_TRIGGERS] = ["heap", "time", "forced", "unknown"];

/// Index of the stop before concurrent mark in [`STOP_REASONS`].
pub(super) const SWEEP_TERMINATION: usize = StwReason::GcSweepTermination as usize;

/// Index of the stop after concurrent mark in [`STOP_REASONS`].
pub(super) const MARK_TERMINATION: usize = StwReason::GcMarkTermination as usize;

/// Whether the stop is the collector's.
pub(super) const fn is_collector(reason: usize) -> bool {
    reason == SWEEP_TERMINATION || reason == MARK_TERMINATION
}
