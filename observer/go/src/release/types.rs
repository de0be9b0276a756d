//! Where the fields lie of each of the runtime's types.

use super::{GoVersion, error::LayoutError, field::Field};

macro_rules! fields {
    ($(#[$doc:meta])* $name:ident, $go:literal {
        $($need:ident: $need_go:literal),* $(,)?
    } $({ $($may:ident: $may_go:literal),* $(,)? })?) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub(crate) struct $name {
            $(pub(crate) $need: Field,)*
            $($(pub(crate) $may: Option<Field>,)*)?
        }

        impl $name {
            /// One past the last byte of its fields.
            #[allow(dead_code, reason = "some are read field by field")]
            pub(crate) fn end(&self) -> usize {
                let need = [$(Some(self.$need)),*];
                let may: &[Option<Field>] = &[$($(self.$may),*)?];
                let fields = need.iter().chain(may).flatten();
                fields.map(|field| field.end()).max().unwrap_or(0)
            }

            pub(super) fn find(look: &Look<'_>) -> Result<Self, LayoutError> {
                Ok(Self {
                    $($need: look.need(concat!($go, ".", $need_go))?,)*
                    $($($may: look.may(concat!($go, ".", $may_go)),)*)?
                })
            }
        }
    };
}

fields! {
    /// `runtime.schedt`, the scheduler.
    Sched, "schedt" {
        goid_generator: "goidgen",
        threads_made: "mnext",
        threads_freed: "nmfreed",
        threads_most: "maxmcount",
        system_goroutines: "ngsys",
        idle_processors: "npidle",
        run_queue: "runqsize",
        latencies: "timeToRun",
    } {
        dead: "gFree.n",
        dead_with_stack: "gFree.stack.size",
        dead_without_stack: "gFree.noStack.size",
        stopping_gc: "stwStoppingTimeGC",
        stopping_other: "stwStoppingTimeOther",
        stopped_gc: "stwTotalTimeGC",
        stopped_other: "stwTotalTimeOther",
        mutex_wait: "totalMutexWaitTime",
        lock_wait: "totalRuntimeLockWaitTime",
        goroutines_created: "goroutinesCreated",
    }
}

fields! {
    /// `runtime.p`, what GOMAXPROCS counts.
    P, "p" {
        id: "id",
        status: "status",
        schedule_tick: "schedtick",
        syscall_tick: "syscalltick",
        mcache: "mcache",
        goid_next: "goidcache",
        goid_end: "goidcacheend",
        queue_head: "runqhead",
        queue_tail: "runqtail",
        run_next: "runnext",
    } {
        dead: "gFree.n",
        dead_size: "gFree.size",
        goroutines_created: "goroutinesCreated",
    }
}

fields! {
    /// `runtime.g`, a goroutine.
    G, "g" {
        status: "atomicstatus",
        goid: "goid",
        waiting_since: "waitsince",
        wait_reason: "waitreason",
        created_by: "gopc",
        starts: "startpc",
    }
}

fields! {
    /// `runtime.m`, a thread. Its fields move even between patch releases.
    M, "m" {} {
        next: "alllink",
        goroutine: "curg",
        locked_goroutine: "lockedg",
        lock_wait: "mLockProfile.waitTime",
    }
}

fields! {
    /// `runtime.gcControllerState`, the pacer.
    Controller, "gcControllerState" {
        percent: "gcPercent",
        heap_minimum: "heapMinimum",
        heap_live: "heapLive",
        heap_marked: "heapMarked",
    } {
        goal: "heapGoal",
        memory_limit: "memoryLimit",
        percent_goal: "gcPercentHeapGoal",
        sweep_trigger: "sweepDistMinTrigger",
        triggered: "triggered",
        heap_free: "heapFree",
        total_alloc: "totalAlloc",
        total_free: "totalFree",
        mapped_ready: "mappedReady",
    }
}

fields! {
    /// `runtime.mstats`, what the runtime counts for `ReadMemStats`.
    Memstats, "mstats" {
        last_gc: "last_gc_unix",
        pause_total: "pause_total_ns",
        pauses: "pause_ns",
        pause_ends: "pause_end",
        cycles: "numgc",
        forced_cycles: "numforcedgc",
    } {
        pause_histogram: "gcPauseDist",
    }
}

fields! {
    /// The allocator's counters: `memstats.heapStats`, the per-P caches and
    /// their spans.
    HeapStats, "" {
        stats: "mstats.heapStats",
        ring: "consistentHeapStats.stats",
        delta: "heapStatsDelta",
        tiny: "heapStatsDelta.tinyAllocCount",
        large_bytes: "heapStatsDelta.largeAlloc",
        large_count: "heapStatsDelta.largeAllocCount",
        small_count: "heapStatsDelta.smallAllocCount",
        large_free_bytes: "heapStatsDelta.largeFree",
        large_free_count: "heapStatsDelta.largeFreeCount",
        small_free_count: "heapStatsDelta.smallFreeCount",
        cache_spans: "mcache.alloc",
        cache_tiny: "mcache.tinyAllocs",
        span_slots: "mspan.nelems",
        span_used: "mspan.allocCount",
    } {
        span_used_before: "mspan.allocCountBeforeCache",
    }
}

fields! {
    /// `runtime.cpuStats`.
    CpuStats, "cpuStats" {
        assist: "GCAssistTime",
        dedicated: "GCDedicatedTime",
        idle_mark: "GCIdleTime",
        pause: "GCPauseTime",
        gc_total: "GCTotalTime",
        scavenge_assist: "ScavengeAssistTime",
        scavenge_background: "ScavengeBgTime",
        scavenge_total: "ScavengeTotalTime",
        idle: "IdleTime",
        user: "UserTime",
        total: "TotalTime",
    }
}

fields! {
    /// `runtime.timeHistogram`.
    Histogram, "timeHistogram" {
        counts: "counts",
        underflow: "underflow",
    } {
        overflow: "overflow",
    }
}

/// Where the fields of one release lie, by their names.
pub(super) struct Look<'a> {
    pub(super) version: GoVersion,
    pub(super) place: &'a dyn Fn(&str) -> Option<Field>,
}

impl Look<'_> {
    fn may(&self, name: &str) -> Option<Field> {
        (self.place)(name.trim_start_matches('.'))
    }

    fn need(&self, field: &'static str) -> Result<Field, LayoutError> {
        let version = self.version;
        self.may(field)
            .ok_or(LayoutError::UnknownField { field, version })
    }
}
