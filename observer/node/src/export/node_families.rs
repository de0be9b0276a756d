//! Families of the observer itself.

use std::time::UNIX_EPOCH;

use observer_go::binary::Reason;

use super::{
    family::{Family, Kind, node},
    sink::{Sink, Value},
};

/// The observer's own families.
pub(super) static FAMILIES: [Family; 33] = [
    node(
        "observer_build_info",
        Kind::Gauge,
        None,
        "Version of the observer.",
        "Cargo.toml",
        |_, sink| sink.labelled("version", env!("CARGO_PKG_VERSION"), Value::Integer(1)),
    ),
    node(
        "observer_snapshot_timestamp_seconds",
        Kind::Gauge,
        Some("seconds"),
        "When the figures of this exposition were taken, in seconds since the epoch.",
        "the node's loop",
        |node, sink| {
            if let Ok(since) = node.snapshot.at.duration_since(UNIX_EPOCH) {
                sink.float(since.as_secs_f64());
            }
        },
    ),
    node(
        "observer_processes",
        Kind::Gauge,
        None,
        "Go processes known, by whether they live.",
        "the node's loop",
        |node, sink| {
            let living = node
                .snapshot
                .processes
                .iter()
                .filter(|process| process.ended.is_none())
                .count();
            sink.labelled("state", "live", Value::Integer(living as u64));
            sink.labelled(
                "state",
                "ended",
                Value::Integer((node.snapshot.processes.len() - living) as u64),
            );
        },
    ),
    node(
        "observer_ended_processes_crowded_out",
        Kind::Counter,
        None,
        "Ended processes that found no room in the sum of their program or container, by where they are counted instead: other, which is process (other); or none.",
        "the node's loop",
        |node, sink| {
            let crowded = node.snapshot.health.crowded;
            let cluster = node.snapshot.cluster.as_ref();
            let of_containers = cluster.map_or(0, |cluster| cluster.crowded);
            let none = crowded.left_out + of_containers;
            sink.labelled("into", "other", Value::Integer(crowded.with_others));
            sink.labelled("into", "none", Value::Integer(none));
        },
    ),
    node(
        "observer_processes_not_exported",
        Kind::Gauge,
        None,
        "Go processes left out of this exposition because it has no room for more.",
        "the exposition's bound",
        |node, sink| sink.count(node.left_out.processes),
    ),
    node(
        "observer_series_not_exported",
        Kind::Gauge,
        None,
        "Series of those processes that this exposition has no room for.",
        "the exposition's bound",
        |node, sink| sink.count(node.left_out.series),
    ),
    node(
        "observer_targets",
        Kind::Gauge,
        None,
        "Executables that probes are attached to.",
        "the probe room",
        |node, sink| sink.count(node.snapshot.health.targets),
    ),
    node(
        "observer_sites",
        Kind::Gauge,
        None,
        "Instructions that a probe stands on.",
        "the probe room",
        |node, sink| sink.count(node.snapshot.health.sites),
    ),
    node(
        "observer_probe_hit_seconds",
        Kind::Gauge,
        Some("seconds"),
        "What one probe hit costs a process, by whether the kernel emulates the instruction or single-steps it.",
        "measured at start on a child of the observer",
        |node, sink| {
            let price = node.snapshot.health.price;
            for (kind, ns) in [
                ("emulated", price.emulated_ns),
                ("single_stepped", price.single_stepped_ns),
            ] {
                sink.labelled("kind", kind, Value::Float(ns / 1e9));
            }
        },
    ),
    node(
        "observer_interval_seconds",
        Kind::Gauge,
        Some("seconds"),
        "How often figures are read: --interval, or up to 8 times that while the observer is above --cpu-ceiling.",
        "the node's loop",
        |node, sink| sink.float(node.snapshot.health.interval.as_secs_f64()),
    ),
    node(
        "observer_map_entries",
        Kind::Gauge,
        None,
        "Entries in the per-process maps.",
        "the maps",
        |node, sink| {
            for (map, entries) in &node.snapshot.health.map_entries {
                sink.labelled("map", map, Value::Integer(*entries));
            }
        },
    ),
    node(
        "observer_map_refused",
        Kind::Counter,
        None,
        "Insertions that a map had no room for.",
        "the programs",
        |node, sink| {
            let kernel = &node.snapshot.health.kernel;
            for (map, refused) in [
                (observer_ebpf::names::PROCESSES, kernel.refused_processes),
                (observer_ebpf::names::GOROUTINES, kernel.refused_goroutines),
                (observer_ebpf::names::GC, kernel.refused_gc),
            ] {
                sink.labelled("map", map, Value::Integer(refused));
            }
            // There is none where no span is probed.
            let spans = observer_ebpf::names::SPANS;
            if node.snapshot.health.map_entries.contains_key(spans) {
                sink.labelled("map", spans, Value::Integer(kernel.refused_spans));
            }
        },
    ),
    node(
        "observer_events_lost",
        Kind::Counter,
        None,
        "Events that the ring buffer had no room for.",
        "the programs",
        |node, sink| sink.count(node.snapshot.health.kernel.lost_events),
    ),
    node(
        "observer_process_events",
        Kind::Counter,
        None,
        "Execs, forks and exits seen.",
        "the programs",
        |node, sink| sink.count(node.snapshot.health.kernel.process_events),
    ),
    node(
        "observer_alias_hits",
        Kind::Counter,
        None,
        "Probe hits left out because another target counts for the process.",
        "the programs",
        |node, sink| sink.count(node.snapshot.health.kernel.alias_hits),
    ),
    node(
        "observer_target_reads_failed",
        Kind::Counter,
        None,
        "Reads of a process's memory that failed.",
        "the programs",
        |node, sink| sink.count(node.snapshot.health.kernel.failed_reads),
    ),
    node(
        "observer_files_inspected",
        Kind::Counter,
        None,
        "Files inspected, by result: go, not_go, error; left_out where too many waited, until the next look at all that runs.",
        "the node's loop",
        |node, sink| {
            for (result, files) in &node.snapshot.health.inspected {
                sink.labelled("result", result, Value::Integer(*files));
            }
        },
    ),
    node(
        "observer_attachments_refused",
        Kind::Counter,
        None,
        "Attachments that the kernel refused.",
        "the probe room",
        |node, sink| sink.count(node.snapshot.health.refused_attachments),
    ),
    node(
        "observer_state_samples",
        Kind::Counter,
        None,
        "Readings of a process's state from its memory.",
        "the node's loop",
        |node, sink| sink.count(node.snapshot.health.state_samples),
    ),
    node(
        "observer_state_samples_dropped",
        Kind::Counter,
        None,
        "Readings of a process's state that failed or could not be true; the one before stands.",
        "the node's loop",
        |node, sink| sink.count(node.snapshot.health.state_dropped),
    ),
    node(
        "observer_goroutine_walks",
        Kind::Counter,
        None,
        "Walks over the goroutines of a process, by how they ended: complete, cut_short by the time limit, failed.",
        "--goroutine-creators",
        |node, sink| {
            let Some(counts) = &node.snapshot.creators.counts else {
                return;
            };
            for (result, count) in [
                ("complete", counts.complete),
                ("cut_short", counts.cut_short),
                ("failed", counts.failed),
            ] {
                sink.labelled("result", result, Value::Integer(count));
            }
        },
    ),
    node(
        "observer_processes_unreadable",
        Kind::Gauge,
        None,
        "Processes that may not be looked at, whether Go or not, by reason: a profile of AppArmor that confines the observer, or permission_denied.",
        "/proc",
        |node, sink| {
            for reason in [Reason::Apparmor, Reason::PermissionDenied] {
                let processes = node.snapshot.health.unreadable.get(&reason);
                let processes = processes.copied().unwrap_or_default();
                sink.labelled("reason", reason.label(), Value::Integer(processes));
            }
        },
    ),
    node(
        "observer_processes_excluded",
        Kind::Gauge,
        None,
        "Go processes that carry no probe for their own sake and are not read, by reason: excluded by --exclude, a pod or its namespace, or pod_unknown while the API server has not told of their pod.",
        "--exclude, and the label or annotation go-observer.dev/observe of pods and namespaces",
        |node, sink| {
            for reason in [Reason::Excluded, Reason::PodUnknown] {
                let processes = node.snapshot.health.held.get(&reason);
                let processes = processes.copied().unwrap_or_default();
                sink.labelled("reason", reason.label(), Value::Integer(processes));
            }
        },
    ),
    node(
        "observer_lacking",
        Kind::Gauge,
        None,
        "Capabilities and kernel features that the observer lacks; /readyz names them.",
        "the checks at start",
        |node, sink| sink.count(node.snapshot.health.missing.len() as u64),
    ),
    node(
        "observer_kernel_feature",
        Kind::Gauge,
        None,
        "Whether the kernel has a feature (1) or not (0); one that could not be asked for has no sample.",
        "the kernel's types, and what it accepted at start",
        |node, sink| {
            for (feature, has) in &node.snapshot.health.features {
                sink.labelled("feature", feature, Value::Integer(u64::from(*has)));
            }
        },
    ),
    node(
        "process_cpu_seconds",
        Kind::Counter,
        Some("seconds"),
        "Total user and system CPU time spent in seconds.",
        "/proc/self/stat",
        |node, sink| optional(node.own.cpu_seconds, sink),
    ),
    node(
        "process_resident_memory_bytes",
        Kind::Gauge,
        Some("bytes"),
        "Resident memory size in bytes.",
        "/proc/self/stat",
        |node, sink| optional(node.own.resident_bytes.map(|bytes| bytes as f64), sink),
    ),
    node(
        "process_virtual_memory_bytes",
        Kind::Gauge,
        Some("bytes"),
        "Virtual memory size in bytes.",
        "/proc/self/stat",
        |node, sink| optional(node.own.virtual_bytes.map(|bytes| bytes as f64), sink),
    ),
    node(
        "process_open_fds",
        Kind::Gauge,
        None,
        "Number of open file descriptors.",
        "/proc/self/fd",
        |node, sink| optional(node.own.open_fds.map(|fds| fds as f64), sink),
    ),
    node(
        "observer_connections",
        Kind::Gauge,
        None,
        "Connections to the observer that are open.",
        "the listener",
        |node, sink| sink.count(node.own.connections.open),
    ),
    node(
        "observer_connections_crowded_out",
        Kind::Counter,
        None,
        "Connections closed to let others in: strangers that had asked nothing for longest.",
        "the listener",
        |node, sink| sink.count(node.own.connections.crowded_out),
    ),
    node(
        "observer_log_lines_lost",
        Kind::Counter,
        None,
        "Lines of the log that could not be written, or that nobody took in time.",
        "the log",
        |node, sink| sink.count(node.own.log_lines_lost),
    ),
    node(
        "process_start_time_seconds",
        Kind::Gauge,
        Some("seconds"),
        "Start time of the process since unix epoch in seconds.",
        "/proc/self/stat, /proc/stat",
        |node, sink| optional(node.own.start_seconds, sink),
    ),
];

fn optional(value: Option<f64>, sink: &mut Sink) {
    if let Some(value) = value {
        sink.float(value);
    }
}
