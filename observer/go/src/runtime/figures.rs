//! What is known of one process's runtime at one instant.

use serde::Serialize;

use super::histogram::RuntimeHistogram;

/// The runtime's state. A group is `None` where this binary or release cannot
/// give it; [`RuntimeReader::gaps`](super::RuntimeReader::gaps) says why.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StateFigures {
    /// Goroutines.
    pub goroutines: Goroutines,
    /// Threads, Ps and run queues.
    pub scheduler: Scheduler,
    /// GOGC and GOMEMLIMIT.
    pub settings: RuntimeSettings,
    /// Heap as the pacer sees it.
    pub heap: Heap,
    /// Allocation as `MemStats` would give it now.
    pub allocation: Option<Allocation>,
    /// Collections and their pauses.
    pub collections: Collections,
    /// Stops of the world by purpose.
    pub stops: Stops,
    /// CPU time by purpose, as of the end of the last collection.
    pub cpu: Option<CollectorCpu>,
}

/// Goroutines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Goroutines {
    /// As `runtime.NumGoroutine()`: `allgs` less the dead (`gFree` of the
    /// scheduler and of each P) and the runtime's own (`sched.ngsys`).
    pub live: u64,
    /// Ever created. Up to 1.25 the ids given out: `sched.goidgen` less what
    /// the Ps still hold of it and less those of cgo's extra threads; from
    /// 1.26 the runtime's own `goroutinesCreated`.
    pub created: Option<u64>,
    /// Ever ended, the runtime's own included: what was created less what is
    /// not dead.
    pub exited: Option<u64>,
    /// Ids handed out to Ps, 16 at a time: `sched.goidgen` less those of cgo's
    /// extra threads.
    pub ids: Option<u64>,
    /// Ready to run and waiting for a P: all run queues.
    pub runnable: u64,
    /// The others by what they do.
    pub states: Option<GoroutineStates>,
}

/// Goroutines that are not runnable, the runtime's own included, as
/// `runtime/metrics` counts them from 1.26 on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GoroutineStates {
    /// `/sched/goroutines/running:goroutines`.
    pub running: u64,
    /// `/sched/goroutines/not-in-go:goroutines`: in a system call or in C.
    pub not_in_go: u64,
    /// `/sched/goroutines/waiting:goroutines`: all the others.
    pub waiting: u64,
}

/// Threads, Ps and latency.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Scheduler {
    /// Ms that exist (`sched.mnext` − `sched.nmfreed`), which is what
    /// client_golang's `go_threads` counts.
    pub threads: u64,
    /// `/sched/threads/total:threads`: those without the ones kept for threads
    /// that C creates.
    pub go_threads: Option<u64>,
    /// GOMAXPROCS: the length of `allp`.
    pub processors: u64,
    /// Ps with nothing to do (`sched.npidle`).
    pub idle_processors: u64,
    /// `/sched/latencies:seconds`: `sched.timeToRun`.
    pub latencies: RuntimeHistogram,
    /// `/sync/mutex/wait/total:seconds` in nanoseconds, 1.20 and later.
    pub mutex_wait_ns: Option<u64>,
}

/// What the user of the program set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RuntimeSettings {
    /// GOGC in percent; `u64::MAX` when off, as `/gc/gogc:percent` has it.
    pub gogc_percent: u64,
    /// GOMEMLIMIT in bytes, 1.19 and later; `i64::MAX` when there is none.
    pub memory_limit_bytes: Option<u64>,
}

/// The heap as the pacer sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Heap {
    /// `gcController.heapLive`: marked by the last collection plus allocated since.
    pub live_bytes: u64,
    /// `gcController.heapMarked`: what the last collection found alive
    /// (`/gc/heap/live:bytes`).
    pub marked_bytes: u64,
    /// `/gc/heap/goal:bytes`, the memory limit's goal included; without a
    /// limit this is `MemStats.NextGC`.
    pub next_gc_bytes: u64,
}

/// Allocation, with what the Ps' caches hold and have not yet reported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Allocation {
    /// `MemStats.HeapAlloc`, which is `Alloc`: objects alive or not yet swept.
    pub heap_bytes: u64,
    /// `MemStats.HeapObjects`.
    pub heap_objects: u64,
    /// `MemStats.TotalAlloc`.
    pub total_bytes: u64,
    /// `MemStats.Mallocs`.
    pub mallocs: u64,
    /// `MemStats.Frees`.
    pub frees: u64,
}

/// Collections.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Collections {
    /// `MemStats.NumGC`.
    pub cycles: u64,
    /// `MemStats.NumForcedGC`.
    pub forced: u64,
    /// `MemStats.PauseTotalNs`.
    pub pause_total_ns: u64,
    /// `MemStats.LastGC`: nanoseconds since 1970; 0 before the first.
    pub last_gc_unix_ns: u64,
    /// The cycles since the previous sample (at most the last 256), oldest
    /// first, from the ring `MemStats.PauseNs` and `PauseEnd`.
    pub recent: Vec<Pause>,
    /// `/gc/pauses:seconds` of 1.17 to 1.21; later it is [`Stops::gc_total`].
    pub pauses: Option<RuntimeHistogram>,
}

/// The pause of one cycle, both of its stops together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Pause {
    /// How long.
    pub duration_ns: u64,
    /// When it ended, nanoseconds since 1970.
    pub ended_unix_ns: u64,
}

/// Stops of the world, 1.22 and later.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stops {
    /// `/sched/pauses/stopping/gc:seconds`.
    pub gc_stopping: Option<RuntimeHistogram>,
    /// `/sched/pauses/total/gc:seconds`.
    pub gc_total: Option<RuntimeHistogram>,
    /// `/sched/pauses/stopping/other:seconds`.
    pub other_stopping: Option<RuntimeHistogram>,
    /// `/sched/pauses/total/other:seconds`.
    pub other_total: Option<RuntimeHistogram>,
}

/// `work.cpuStats` in nanoseconds, 1.20 and later: what `/cpu/classes/*`
/// shows. The runtime adds to it at the end of each cycle only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CollectorCpu {
    /// Goroutines made to help marking.
    pub mark_assist_ns: u64,
    /// Mark workers with a P of their own.
    pub mark_dedicated_ns: u64,
    /// Mark workers on Ps that were idle.
    pub mark_idle_ns: u64,
    /// Stopped for the collector, times GOMAXPROCS.
    pub pause_ns: u64,
    /// All of the collector.
    pub gc_total_ns: u64,
    /// Giving memory back, by allocating goroutines.
    pub scavenge_assist_ns: u64,
    /// Giving memory back, in the background.
    pub scavenge_background_ns: u64,
    /// All of the scavenger.
    pub scavenge_total_ns: u64,
    /// Ps idle.
    pub idle_ns: u64,
    /// Everything else: the program.
    pub user_ns: u64,
    /// GOMAXPROCS times the time passed.
    pub total_ns: u64,
}
