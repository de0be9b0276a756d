//! Families of the runtime's own state.
//!
//! Each is there for a process whose release keeps the figure and whose binary
//! tells where; `observer_process_coverage` says which is not and why.

use super::{
    family::{Family, Kind, SECONDS, Samples, family},
    series_group::SeriesGroup,
    sink::{Sink, Value, seconds},
    states::{at_most, largest, now, times, total, total_seconds},
};
use crate::node::Differences;

const BYTES: Option<&str> = Some("bytes");

pub(super) const fn state(
    name: &'static str,
    kind: Kind,
    unit: Option<&'static str>,
    help: &'static str,
    source: &'static str,
    samples: fn(&SeriesGroup, &mut Sink),
) -> Family {
    family(
        name,
        kind,
        unit,
        help,
        source,
        Samples::Group(None, samples),
    )
}

/// What is read from the memory of processes.
pub(super) static FAMILIES: [Family; 34] = [
    state(
        "go_threads",
        Kind::Gauge,
        None,
        "Number of OS threads created.",
        "sched.mnext less sched.nmfreed, as the threadcreate profile; /sched/threads/total:threads (1.26+)",
        |group, sink| now(group, sink, |s| Some(s.scheduler.threads)),
    ),
    state(
        "go_sched_gomaxprocs_threads",
        Kind::Gauge,
        None,
        "The current runtime.GOMAXPROCS setting, or the number of operating system threads that can execute user-level Go code simultaneously.",
        "/sched/gomaxprocs:threads: len(allp)",
        |group, sink| now(group, sink, |s| Some(s.scheduler.processors)),
    ),
    state(
        "go_sched_idle_processors",
        Kind::Gauge,
        None,
        "Number of Ps that have nothing to do.",
        "no name in runtime/metrics: sched.npidle",
        |group, sink| now(group, sink, |s| Some(s.scheduler.idle_processors)),
    ),
    state(
        "go_sched_goroutines_runnable_goroutines",
        Kind::Gauge,
        None,
        "Number of goroutines that are ready to run and wait for a P.",
        "/sched/goroutines/runnable:goroutines (1.26+): the lengths of all run queues",
        |group, sink| now(group, sink, |s| Some(s.goroutines.runnable)),
    ),
    state(
        "go_sched_latencies_seconds",
        Kind::Histogram,
        SECONDS,
        "Distribution of the time goroutines have spent in the scheduler in a runnable state before actually running. The runtime keeps no sum: it is that of lower bounds, as in client_golang.",
        "/sched/latencies:seconds: sched.timeToRun; client_golang's buckets",
        |group, sink| times(group, sink, |s| Some(&s.scheduler.latencies)),
    ),
    state(
        "go_sync_mutex_wait_total_seconds",
        Kind::Counter,
        SECONDS,
        "Approximate cumulative time goroutines have spent blocked on a sync.Mutex, sync.RWMutex, or runtime-internal lock.",
        "/sync/mutex/wait/total:seconds (1.20+)",
        |group, sink| total_seconds(group, sink, |s| s.scheduler.mutex_wait_ns),
    ),
    state(
        "go_gc_gogc_percent",
        Kind::Gauge,
        None,
        "Heap size target percentage configured by the user, otherwise 100; 2^64-1 when off. Of several processes the largest.",
        "/gc/gogc:percent: gcController.gcPercent",
        |group, sink| largest(group, sink, |s| s.settings.gogc_percent, Value::Integer),
    ),
    state(
        "go_gc_gomemlimit_bytes",
        Kind::Gauge,
        BYTES,
        "Go runtime memory limit configured by the user, otherwise math.MaxInt64. Of several processes the sum, and math.MaxInt64 where one has none.",
        "/gc/gomemlimit:bytes (1.19+): gcController.memoryLimit",
        |group, sink| at_most(group, sink, NO_LIMIT, |s| s.settings.memory_limit_bytes),
    ),
    state(
        "go_gc_heap_live_bytes",
        Kind::Gauge,
        BYTES,
        "Heap memory occupied by live objects that were marked by the previous GC.",
        "/gc/heap/live:bytes: gcController.heapMarked",
        |group, sink| now(group, sink, |s| Some(s.heap.marked_bytes)),
    ),
    state(
        "go_gc_heap_goal_bytes",
        Kind::Gauge,
        BYTES,
        "Heap size target for the end of the GC cycle, the goal of the memory limit included.",
        "/gc/heap/goal:bytes: gcController.heapGoal()",
        |group, sink| now(group, sink, |s| Some(s.heap.next_gc_bytes)),
    ),
    state(
        "go_gc_controller_heap_live_bytes",
        Kind::Gauge,
        BYTES,
        "Heap memory as the pacer counts it: marked by the previous GC, and allocated since.",
        "no name in runtime/metrics: gcController.heapLive",
        |group, sink| now(group, sink, |s| Some(s.heap.live_bytes)),
    ),
    state(
        "go_memstats_next_gc_bytes",
        Kind::Gauge,
        BYTES,
        "Number of heap bytes when next garbage collection will take place.",
        "MemStats.NextGC; under a memory limit /gc/heap/goal:bytes",
        |group, sink| now(group, sink, |s| Some(s.heap.next_gc_bytes)),
    ),
    state(
        "go_memstats_alloc_bytes",
        Kind::Gauge,
        BYTES,
        "Number of bytes allocated in heap and currently in use.",
        "MemStats.Alloc: heapStats, and what the Ps' caches hold",
        |group, sink| now(group, sink, |s| s.allocation.as_ref().map(|a| a.heap_bytes)),
    ),
    state(
        "go_memstats_alloc_bytes_total",
        Kind::Clashing,
        None,
        "Total number of bytes allocated in heap until now, even if released already.",
        "MemStats.TotalAlloc: heapStats, and what the Ps' caches hold",
        |group, sink| {
            total(group, sink, |s| {
                s.allocation.as_ref().map(|a| a.total_bytes)
            });
        },
    ),
    state(
        "go_memstats_heap_alloc_bytes",
        Kind::Gauge,
        BYTES,
        "Number of heap bytes allocated and currently in use, same as go_memstats_alloc_bytes.",
        "MemStats.HeapAlloc",
        |group, sink| now(group, sink, |s| s.allocation.as_ref().map(|a| a.heap_bytes)),
    ),
    state(
        "go_memstats_heap_objects",
        Kind::Gauge,
        None,
        "Number of currently allocated objects.",
        "MemStats.HeapObjects",
        |group, sink| {
            now(group, sink, |s| {
                s.allocation.as_ref().map(|a| a.heap_objects)
            });
        },
    ),
    state(
        "go_memstats_mallocs",
        Kind::Counter,
        None,
        "Total number of heap objects allocated, both live and gc-ed.",
        "MemStats.Mallocs",
        |group, sink| total(group, sink, |s| s.allocation.as_ref().map(|a| a.mallocs)),
    ),
    state(
        "go_memstats_frees",
        Kind::Counter,
        None,
        "Total number of heap objects frees.",
        "MemStats.Frees",
        |group, sink| total(group, sink, |s| s.allocation.as_ref().map(|a| a.frees)),
    ),
    state(
        "go_memstats_last_gc_time_seconds",
        Kind::Gauge,
        SECONDS,
        "Number of seconds since 1970 of last garbage collection. Of several processes the latest.",
        "MemStats.LastGC",
        |group, sink| {
            largest(
                group,
                sink,
                |s| s.collections.last_gc_unix_ns,
                |ns| Value::Float(seconds(ns)),
            );
        },
    ),
    state(
        "go_gc_pauses_seconds",
        Kind::Histogram,
        SECONDS,
        "Distribution of individual GC-related stop-the-world pause latencies. The runtime keeps no sum: it is that of lower bounds, as in client_golang.",
        "/gc/pauses:seconds: memstats.gcPauseDist (up to 1.21), sched.stwTotalTimeGC (1.22+); client_golang's buckets",
        |group, sink| {
            times(group, sink, |s| {
                s.collections.pauses.as_ref().or(s.stops.gc_total.as_ref())
            });
        },
    ),
    state(
        "go_cpu_classes_gc_mark_assist_cpu_seconds",
        Kind::Counter,
        SECONDS,
        "Estimated total CPU time that goroutines spent performing GC tasks to assist the GC and prevent it from falling behind the application, as of the last collection.",
        "/cpu/classes/gc/mark/assist:cpu-seconds (1.20+): work.cpuStats",
        |group, sink| {
            total_seconds(group, sink, |s| {
                s.cpu.as_ref().map(|cpu| cpu.mark_assist_ns)
            });
        },
    ),
    state(
        "go_cpu_classes_gc_mark_dedicated_cpu_seconds",
        Kind::Counter,
        SECONDS,
        "Estimated total CPU time that was spent performing GC tasks on processors dedicated to those tasks, as of the last collection.",
        "/cpu/classes/gc/mark/dedicated:cpu-seconds (1.20+): work.cpuStats",
        |group, sink| {
            total_seconds(group, sink, |s| {
                s.cpu.as_ref().map(|cpu| cpu.mark_dedicated_ns)
            });
        },
    ),
    state(
        "go_cpu_classes_gc_mark_idle_cpu_seconds",
        Kind::Counter,
        SECONDS,
        "Estimated total CPU time that was spent performing GC tasks on spare CPU resources that the Go scheduler could not otherwise find a use for, as of the last collection.",
        "/cpu/classes/gc/mark/idle:cpu-seconds (1.20+): work.cpuStats",
        |group, sink| total_seconds(group, sink, |s| s.cpu.as_ref().map(|cpu| cpu.mark_idle_ns)),
    ),
    state(
        "go_cpu_classes_gc_pause_cpu_seconds",
        Kind::Counter,
        SECONDS,
        "Estimated total CPU time that was spent with the application paused by the GC, as of the last collection.",
        "/cpu/classes/gc/pause:cpu-seconds (1.20+): work.cpuStats",
        |group, sink| total_seconds(group, sink, |s| s.cpu.as_ref().map(|cpu| cpu.pause_ns)),
    ),
    state(
        "go_cpu_classes_gc_total_cpu_seconds",
        Kind::Counter,
        SECONDS,
        "Estimated total CPU time that was spent performing GC tasks, as of the last collection.",
        "/cpu/classes/gc/total:cpu-seconds (1.20+): work.cpuStats",
        |group, sink| total_seconds(group, sink, |s| s.cpu.as_ref().map(|cpu| cpu.gc_total_ns)),
    ),
    state(
        "go_cpu_classes_scavenge_assist_cpu_seconds",
        Kind::Counter,
        SECONDS,
        "Estimated total CPU time that was spent returning unused memory to the underlying platform eagerly in response to memory pressure, as of the last collection.",
        "/cpu/classes/scavenge/assist:cpu-seconds (1.20+): work.cpuStats",
        |group, sink| {
            total_seconds(group, sink, |s| {
                s.cpu.as_ref().map(|cpu| cpu.scavenge_assist_ns)
            });
        },
    ),
    state(
        "go_cpu_classes_scavenge_background_cpu_seconds",
        Kind::Counter,
        SECONDS,
        "Estimated total CPU time that was spent performing background tasks to return unused memory to the underlying platform, as of the last collection.",
        "/cpu/classes/scavenge/background:cpu-seconds (1.20+): work.cpuStats",
        |group, sink| {
            total_seconds(group, sink, |s| {
                s.cpu.as_ref().map(|cpu| cpu.scavenge_background_ns)
            });
        },
    ),
    state(
        "go_cpu_classes_scavenge_total_cpu_seconds",
        Kind::Counter,
        SECONDS,
        "Estimated total CPU time that was spent performing tasks that return unused memory to the underlying platform, as of the last collection.",
        "/cpu/classes/scavenge/total:cpu-seconds (1.20+): work.cpuStats",
        |group, sink| {
            total_seconds(group, sink, |s| {
                s.cpu.as_ref().map(|cpu| cpu.scavenge_total_ns)
            });
        },
    ),
    state(
        "go_cpu_classes_idle_cpu_seconds",
        Kind::Counter,
        SECONDS,
        "Estimated total CPU time that was available and spent not executing any Go or Go runtime code, as of the last collection.",
        "/cpu/classes/idle:cpu-seconds (1.20+): work.cpuStats",
        |group, sink| total_seconds(group, sink, |s| s.cpu.as_ref().map(|cpu| cpu.idle_ns)),
    ),
    state(
        "go_cpu_classes_user_cpu_seconds",
        Kind::Counter,
        SECONDS,
        "Estimated total CPU time that was spent running user Go code, as of the last collection.",
        "/cpu/classes/user:cpu-seconds (1.20+): work.cpuStats",
        |group, sink| total_seconds(group, sink, |s| s.cpu.as_ref().map(|cpu| cpu.user_ns)),
    ),
    state(
        "go_cpu_classes_total_cpu_seconds",
        Kind::Counter,
        SECONDS,
        "Estimated total CPU time that was available for user Go code or the Go runtime, as defined by GOMAXPROCS, as of the last collection.",
        "/cpu/classes/total:cpu-seconds (1.20+): work.cpuStats",
        |group, sink| total_seconds(group, sink, |s| s.cpu.as_ref().map(|cpu| cpu.total_ns)),
    ),
    state(
        "observer_planes_difference_goroutines",
        Kind::Gauge,
        Some("goroutines"),
        "What the runtime itself counted less what probes counted: created, of processes seen from their start while each goroutine is counted; ids, sched.goidgen less 16 for each batch seen since the two were first held against each other. Of several processes the one where they differ most. Not always 0 while a process is busy, since the two are not read at one instant.",
        BETWEEN,
        |group, sink| {
            let Differences { created, ids, .. } = group.differences;
            for (figure, found) in [("created", created), ("ids", ids)] {
                if let Some(found) = found {
                    sink.labelled("figure", figure, Value::Float(found as f64));
                }
            }
        },
    ),
    state(
        "observer_planes_difference_gc_cycles",
        Kind::Gauge,
        Some("gc_cycles"),
        "Collections that the runtime itself counted less those that probes counted, of processes seen from their start. Of several processes the one where they differ most. Not always 0 while a process is busy, since the two are not read at one instant.",
        BETWEEN,
        |group, sink| {
            if let Some(cycles) = group.differences.cycles {
                sink.float(cycles as f64);
            }
        },
    ),
    state(
        "observer_planes_difference_gc_pauses_seconds",
        Kind::Gauge,
        SECONDS,
        "Pauses that the runtime itself measured less those that probes measured, of processes seen from their start. Of several processes the one where they differ most. Not always 0 while a process is busy, since the two are not read at one instant.",
        BETWEEN,
        |group, sink| {
            if let Some(ns) = group.differences.pause_total_ns {
                sink.float(ns as f64 / 1e9);
            }
        },
    ),
];

const BETWEEN: &str =
    "state read between two readings of the counters: the distance from what lies between the two";

/// `math.MaxInt64`, which stands for no memory limit.
const NO_LIMIT: u64 = i64::MAX as u64;
