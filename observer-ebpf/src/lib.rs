//! What the eBPF programs share with the host.
//!
//! The types say what a probe's cookie carries, what the maps hold and what the
//! ring buffer brings to user space. Each is `repr(C)` and has every byte of
//! padding named, so that both sides agree on each offset and no uninitialised
//! byte crosses over.
//!
//! [`state_machine`] is the programs' logic. The programs give it a kernel, and the tests
//! on the host give it a model of one.
#![cfg_attr(not(test), no_std)]
#![allow(
    clippy::inline_always,
    reason = "a call costs more than these at every hit"
)]

mod cookie;
mod event;
pub mod family;
mod figures;
pub mod ground;
mod histogram;
mod kernel;
mod padding;
mod registration;
pub mod state_machine;

pub use cookie::{Abi, Cookie, SiteKind, SpanSite};
pub use event::{COMM_LEN, Event, EventKind};
pub use family::{
    ProbeGroup,
    collector::{
        CYCLE_BEGUN, CYCLE_MARKING, CYCLE_UNSEEN, GC_TRIGGERS, GcCycleFigures, GcFigures,
        PENDING_TRIGGERS,
    },
    goroutines::GoroutineFigures,
    stops::{STOPS_KEPT, STW_REASONS, StopFigures, StopRecord, StwReason},
};
pub use figures::{ProgramHealth, Target};
pub use histogram::{TIME_HISTOGRAM_BUCKETS, TimeHistogram};
pub use kernel::KernelOffsets;
pub use registration::{ProcessKey, Registration};

/// Names of maps, programs and globals, as both sides spell them.
pub mod names {
    /// `HashMap<u32 tgid, Registration>`: which target's probes count for a process.
    pub const PROCESSES: &str = "PROCESSES";
    /// `PerCpuHashMap<ProcessKey, GoroutineFigures>`.
    pub const GOROUTINES: &str = "GOROUTINES";
    /// `HashMap<ProcessKey, GcFigures>`.
    pub const GC: &str = "GC";
    /// `PerCpuHashMap<SpanKey, SpanFigures>`.
    pub const SPANS: &str = "SPANS";
    /// `HashMap<InFlightKey, InFlight>`.
    pub const IN_FLIGHT: &str = "IN_FLIGHT";
    /// Whether any span is probed (0 or 1).
    pub const HAS_SPANS: &str = "HAS_SPANS";
    /// `HashMap<u32 target, Target>`.
    pub const TARGETS: &str = "TARGETS";
    /// `HashMap<u64 (loser << 32 | owner), u64 first seen>`: targets found to be one file.
    pub const ALIASES: &str = "ALIASES";
    /// `PerCpuArray<ProgramHealth>` of one entry.
    pub const HEALTH: &str = "HEALTH";
    /// `RingBuf` of [`crate::Event`].
    pub const EVENTS: &str = "EVENTS";
    /// `RingBuf` of what the programs say for themselves, as aya-log names it.
    pub const LOG: &str = "AYA_LOGS";
    /// The uprobe program for a `uprobe_multi` link (kernel 6.6 and newer).
    pub const SITE_MULTI: &str = "site_multi";
    /// The same program for perf-event links (kernels before 6.6).
    pub const SITE_SINGLE: &str = "site_single";
    /// The program arrays that stay empty, one for each of the two: see
    /// [`PRIVATE_STACKS`].
    pub const NEVER: [&str; 2] = ["NEVER_MULTI", "NEVER_SINGLE"];
    /// Whether the kernel has private stacks (0 or 1), which the two must not get.
    pub const PRIVATE_STACKS: &str = "PRIVATE_STACKS";
    /// How long spending takes to be paid back, of what it was; 0 where nothing is
    /// too much at once.
    pub const REPAYMENT: &str = "REPAYMENT";
    /// Nanoseconds that probes on goroutines may take at once.
    pub const BURST_NS: &str = "BURST_NS";
    /// Whether programs may read the memory of processes (0 or 1).
    pub const READS_USER_MEMORY: &str = "READS_USER_MEMORY";
    /// The programs on BTF tracepoints, which are named as their tracepoints are.
    pub const TRACEPOINTS: [&str; 3] = [
        "sched_process_exec",
        "sched_process_fork",
        "sched_process_exit",
    ];
    /// The global [`crate::KernelOffsets`].
    pub const KERNEL: &str = "KERNEL";
    /// The global `u32`: inode number of the pid namespace whose process ids are
    /// told and counted by; 0 for the initial one.
    pub const PID_NAMESPACE: &str = "PID_NAMESPACE";
}
