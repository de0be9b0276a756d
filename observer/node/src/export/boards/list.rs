//! Which boards there are.

use super::{
    Board, autoscaling, panel,
    workload::{NAMESPACE, WORKLOAD, of_workload},
};

const POD: (&str, &str) = (
    "pod",
    "label_values(go_goroutines{namespace=\"$namespace\"}, pod)",
);
const NODE: (&str, &str) = ("node", "label_values(go_goroutines, node)");

/// All of them.
pub static BOARDS: [Board; 5] = [
    Board {
        uid: "go-observer-node",
        title: "Go runtimes of a node",
        variables: &[NODE],
        annotations: &[],
        panels: &[
            panel(
                "Goroutines, the ten containers with most",
                "short",
                &[(
                    "topk(10, sum by (namespace, pod, container) (go_goroutines{node=~\"$node\"}))",
                    "{{namespace}}/{{pod}}/{{container}}",
                )],
            ),
            panel(
                "Goroutines created per second",
                "ops",
                &[(
                    "topk(10, sum by (namespace, pod) (rate(go_sched_goroutines_created_goroutines_total{node=~\"$node\"}[2m])))",
                    "{{namespace}}/{{pod}}",
                )],
            ),
            panel(
                "Heap",
                "bytes",
                &[(
                    "topk(10, sum by (namespace, pod) (go_memstats_alloc_bytes{node=~\"$node\"}))",
                    "{{namespace}}/{{pod}}",
                )],
            ),
            panel(
                "Share of time in pauses of the collector",
                "percentunit",
                &[(
                    "topk(10, sum by (namespace, pod) (rate(go_gc_duration_seconds_sum{node=~\"$node\"}[2m])))",
                    "{{namespace}}/{{pod}}",
                )],
            ),
            panel(
                "Waiting to run, 99th percentile",
                "s",
                &[(
                    "topk(10, histogram_quantile(0.99, sum by (le, namespace, pod) (rate(go_sched_latencies_seconds_bucket{node=~\"$node\"}[5m]))))",
                    "{{namespace}}/{{pod}}",
                )],
            ),
            panel(
                "Figures that are not exact",
                "short",
                // The sum is also there, and 0, where all are.
                &[
                    (
                        "sum(observer_process_coverage{node=~\"$node\"} == bool 0)",
                        "all",
                    ),
                    (
                        "count by (reason) (observer_process_coverage{node=~\"$node\", reason!=\"\"})",
                        "{{reason}}",
                    ),
                ],
            ),
        ],
    },
    Board {
        uid: "go-observer-workload",
        title: "Go runtimes of a workload",
        variables: &[NAMESPACE, WORKLOAD],
        annotations: &[],
        panels: &[
            panel(
                "Goroutines by pod",
                "short",
                &[(
                    of_workload!("go_goroutines{namespace=\"$namespace\"}"),
                    "{{pod}}",
                )],
            ),
            panel(
                "Goroutines created per second by pod",
                "ops",
                &[(
                    of_workload!(
                        "rate(go_sched_goroutines_created_goroutines_total{namespace=\"$namespace\"}[2m])"
                    ),
                    "{{pod}}",
                )],
            ),
            panel(
                "Heap by pod",
                "bytes",
                &[(
                    of_workload!("go_memstats_alloc_bytes{namespace=\"$namespace\"}"),
                    "{{pod}}",
                )],
            ),
            panel(
                "Allocation by pod",
                "Bps",
                &[(
                    of_workload!(
                        "rate(go_memstats_alloc_bytes_total{namespace=\"$namespace\"}[2m])"
                    ),
                    "{{pod}}",
                )],
            ),
            panel(
                "Share of time in pauses by pod",
                "percentunit",
                &[(
                    of_workload!("rate(go_gc_duration_seconds_sum{namespace=\"$namespace\"}[2m])"),
                    "{{pod}}",
                )],
            ),
            panel(
                "Collections per second by pod",
                "ops",
                &[(
                    of_workload!(
                        "rate(go_gc_cycles_total_gc_cycles_total{namespace=\"$namespace\"}[2m])"
                    ),
                    "{{pod}}",
                )],
            ),
        ],
    },
    Board {
        uid: "go-observer-pod",
        title: "Go runtime of a pod",
        variables: &[NAMESPACE, POD],
        annotations: &[],
        panels: &[
            panel(
                "Goroutines by state",
                "short",
                &[
                    (
                        "sum(go_sched_goroutines_waiting_goroutines{namespace=\"$namespace\", pod=\"$pod\"})",
                        "waiting",
                    ),
                    (
                        "sum(go_sched_goroutines_not_in_go_goroutines{namespace=\"$namespace\", pod=\"$pod\"})",
                        "in system calls or C",
                    ),
                    (
                        "sum(go_sched_goroutines_runnable_goroutines{namespace=\"$namespace\", pod=\"$pod\"})",
                        "runnable",
                    ),
                    (
                        "sum(go_sched_goroutines_running_goroutines{namespace=\"$namespace\", pod=\"$pod\"})",
                        "running",
                    ),
                ],
            ),
            panel(
                "Goroutines created and ended per second",
                "ops",
                &[
                    (
                        "sum(rate(go_sched_goroutines_created_goroutines_total{namespace=\"$namespace\", pod=\"$pod\"}[2m]))",
                        "created",
                    ),
                    (
                        "sum(rate(go_sched_goroutines_exited_goroutines_total{namespace=\"$namespace\", pod=\"$pod\"}[2m]))",
                        "ended",
                    ),
                ],
            ),
            panel(
                "Heap, its goal and its limit",
                "bytes",
                &[
                    (
                        "sum(go_memstats_alloc_bytes{namespace=\"$namespace\", pod=\"$pod\"})",
                        "in use",
                    ),
                    (
                        "sum(go_memstats_next_gc_bytes{namespace=\"$namespace\", pod=\"$pod\"})",
                        "next collection",
                    ),
                    (
                        "sum(go_gc_gomemlimit_bytes{namespace=\"$namespace\", pod=\"$pod\"} < 2^60)",
                        "GOMEMLIMIT",
                    ),
                ],
            ),
            panel(
                "Stops of the world per second by reason",
                "ops",
                &[(
                    "sum by (reason) (rate(go_sched_stops_total{namespace=\"$namespace\", pod=\"$pod\"}[2m]))",
                    "{{reason}}",
                )],
            ),
            panel(
                "Pauses of the collector, 99th percentile",
                "s",
                &[(
                    "histogram_quantile(0.99, sum by (le) (rate(go_sched_pauses_total_gc_seconds_bucket{namespace=\"$namespace\", pod=\"$pod\"}[5m])))",
                    "pause",
                )],
            ),
            panel(
                "Waiting to run, 99th percentile",
                "s",
                &[(
                    "histogram_quantile(0.99, sum by (le) (rate(go_sched_latencies_seconds_bucket{namespace=\"$namespace\", pod=\"$pod\"}[5m])))",
                    "latency",
                )],
            ),
        ],
    },
    Board {
        uid: "go-observer-self",
        title: "The observer itself",
        variables: &[],
        annotations: &[],
        panels: &[
            panel(
                "Go processes observed",
                "short",
                &[("sum by (instance) (observer_processes)", "{{instance}}")],
            ),
            panel(
                "CPU of the observer",
                "percentunit",
                &[(
                    "rate(process_cpu_seconds_total[5m]) and on (instance) observer_build_info",
                    "{{instance}}",
                )],
            ),
            panel(
                "Memory of the observer",
                "bytes",
                &[(
                    "process_resident_memory_bytes and on (instance) observer_build_info",
                    "{{instance}}",
                )],
            ),
            panel(
                "What probes cost programs, of one CPU",
                "percentunit",
                &[(
                    "sum by (instance) (rate(observer_probe_cost_seconds_total[5m]))",
                    "{{instance}}",
                )],
            ),
            panel(
                "Age of the figures",
                "s",
                &[(
                    "time() - observer_snapshot_timestamp_seconds",
                    "{{instance}}",
                )],
            ),
            panel(
                "Samples dropped per second",
                "ops",
                &[(
                    "rate(observer_state_samples_dropped_total[5m])",
                    "{{instance}}",
                )],
            ),
        ],
    },
    autoscaling::BOARD,
];
