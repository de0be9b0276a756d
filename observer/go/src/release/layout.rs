//! Where the fields lie that are read, for one Go release.

use std::sync::{Arc, OnceLock};

use super::{
    Arch, GoVersion,
    field::Field,
    rules::{Rules, rules},
    sizes::Sizes,
    table::Table,
};

/// Why there is no layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The release is not in the table.
    #[error(
        "the layout of go{0} is not known; known are go1.{old} to go1.{new}",
        old = GoVersion::OLDEST_MINOR,
        new = GoVersion::NEWEST_MINOR
    )]
    UnknownVersion(GoVersion),
    /// The table lacks a field that everything else needs.
    #[error("no place is known for {field} in go{version}")]
    UnknownField {
        /// For example `schedt.mnext`.
        field: &'static str,
        /// In which release.
        version: GoVersion,
    },
    /// A build that the table does not vouch for, whose binary does not tell enough.
    #[error("this build of go{version} is not in the table of layouts, and the binary {lack}")]
    NotDescribed {
        /// The release.
        version: GoVersion,
        /// What it lacks.
        lack: String,
    },
}

/// The layout of one release for one instruction set. A field that this
/// release does not have, or whose place is not proven, is `None`.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Of which release.
    pub version: GoVersion,
    /// Its row; of a release that only the binary itself describes, that of the newest.
    pub(crate) rules: &'static Rules,
    pub(crate) sched: Sched,
    pub(crate) p: P,
    pub(crate) g: G,
    pub(crate) m: M,
    pub(crate) controller: Controller,
    pub(crate) memstats: Memstats,
    pub(crate) heap_stats: Option<HeapStats>,
    pub(crate) cpu_stats: Option<CpuStats>,
    pub(crate) histogram: Histogram,
    /// Bytes of an object of each size class.
    pub(crate) size_classes: Vec<u64>,
    /// What a waiting goroutine waits for, by its number.
    pub(crate) wait_reasons: Vec<&'static str>,
    sizes: OnceLock<Arc<Sizes>>,
}

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

            fn find(look: &Look<'_>) -> Result<Self, LayoutError> {
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
struct Look<'a> {
    version: GoVersion,
    place: &'a dyn Fn(&str) -> Option<Field>,
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

impl Layout {
    /// The layout of a release. Releases newer than the table have none here:
    /// a figure from a place that was not proven would be a guess.
    pub fn of(version: GoVersion, arch: Arch) -> Result<Self, LayoutError> {
        let table = Table::get();
        let unknown = LayoutError::UnknownVersion(version);
        let sizes = table
            .text("sizeclasses", version)
            .ok_or_else(|| unknown.clone())?;
        let reasons = table
            .text("waitreasons", version)
            .ok_or_else(|| unknown.clone())?;
        let rules = rules(version.minor).ok_or(unknown)?;
        let sizes = sizes.split(',').filter_map(|size| size.parse().ok());
        let place = |name: &str| Self::field(version, arch, name);
        Self::by(
            version,
            rules,
            &place,
            sizes.collect(),
            reasons.split('|').collect(),
        )
    }

    /// A layout by where each field lies.
    pub(super) fn by(
        version: GoVersion,
        rules: &'static Rules,
        place: &dyn Fn(&str) -> Option<Field>,
        size_classes: Vec<u64>,
        wait_reasons: Vec<&'static str>,
    ) -> Result<Self, LayoutError> {
        let look = Look { version, place };
        Ok(Self {
            version,
            rules,
            sched: Sched::find(&look)?,
            p: P::find(&look)?,
            g: G::find(&look)?,
            m: M::find(&look)?,
            controller: Controller::find(&look)?,
            memstats: Memstats::find(&look)?,
            heap_stats: HeapStats::find(&look).ok(),
            cpu_stats: CpuStats::find(&look).ok(),
            histogram: Histogram::find(&look)?,
            size_classes,
            wait_reasons,
            sizes: OnceLock::new(),
        })
    }

    /// Whether the list of Ms can be followed.
    pub(crate) const fn tells_threads(&self) -> bool {
        self.m.next.is_some() && self.m.locked_goroutine.is_some()
    }

    /// How much is read of each type.
    pub(crate) fn sizes(&self) -> Arc<Sizes> {
        Arc::clone(self.sizes.get_or_init(|| Arc::new(Sizes::of(self))))
    }

    /// A field by its name in Go (`schedt.maxmcount`), for those who look for
    /// the globals.
    pub fn field(version: GoVersion, arch: Arch, name: &str) -> Option<Field> {
        let (offset, size) = Table::get().field(name, version, arch)?;
        Some(Field {
            offset: usize::try_from(offset).ok()?,
            size,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::{Layout, LayoutError};
    use crate::release::{Arch, GoVersion};

    #[test]
    fn every_known_release_has_a_layout() {
        for minor in GoVersion::OLDEST_MINOR..=GoVersion::NEWEST_MINOR {
            for (patch, arch) in [(0, Arch::Amd64), (0, Arch::Arm64), (99, Arch::Amd64)] {
                let layout = Layout::of(GoVersion { minor, patch }, arch).unwrap();
                assert_eq!(layout.size_classes.len(), 68);
                assert!(layout.wait_reasons.len() > 25);
                assert!(layout.heap_stats.is_some() || patch == 99 && minor < 25);
                assert_eq!(layout.cpu_stats.is_some(), minor >= 20);
            }
        }
        let newer = GoVersion {
            minor: 28,
            patch: 0,
        };
        assert_eq!(
            Layout::of(newer, Arch::Amd64).unwrap_err(),
            LayoutError::UnknownVersion(newer)
        );
    }
}
