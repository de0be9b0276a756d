//! That the shared types have no padding, checked where they are compiled:
//! padding is uninitialised, and both sides copy these types as bytes.

use crate::{
    Event, GcCycleFigures, GcFigures, GoroutineFigures, KernelOffsets, ProcessKey, ProgramHealth,
    Registration, StopFigures, StopRecord, Target, TimeHistogram,
    family::{InFlight, InFlightKey, SpanFigures, SpanKey},
};

const fn size_of_field<T, F>(_: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

/// All fields of each type, for the sum of their sizes. One that is left out does
/// not compile.
macro_rules! no_padding {
    ($($type:ident { $($field:ident),* })*) => { $(
        const _: () = {
            fn _every_field($type { $($field: _),* }: $type) {}
            assert!(
                0 $(+ size_of_field(|all: &$type| &all.$field))* == size_of::<$type>(),
                concat!(stringify!($type), " has padding: reorder its fields, or name it")
            );
        };
    )* };
}

no_padding! {
    KernelOffsets {
        task_tgid, task_pid, task_signal, signal_live, signal_tgid, pid_level, pid_numbers,
        upid_size, upid_nr, upid_ns, namespace_inum, task_real_parent, task_cgroups,
        css_set_dfl_cgrp, cgroup_kn, kernfs_node_id
    }
    ProcessKey { tgid, epoch }
    Registration { epoch, target, repaid_at_ns, stops_repaid_at_ns, spans_repaid_at_ns }
    GoroutineFigures { created, exited, system_created, system_exited, goid_refills, unpaid_ns }
    StopFigures { count, total_ns, stopping_ns }
    StopRecord { began, pause_ns, reason, trigger, ends_cycle }
    GcCycleFigures { began, sweep_termination_ns, mark_began, mark_ns, mark_termination_ns }
    TimeHistogram { counts, overflow, sum_ns }
    GcFigures {
        started, completed, pause_total_ns, mark_ns, whole_cycles, last, stops, total_gc,
        total_other, stopping_gc, stopping_other, hits, stops_recorded, recent_stops, pending,
        pending_next, reasons_pending, trigger, cycle_seen, reason, padding, stop_began,
        stopping_ns, start_kind, cycle
    }
    Target {
        last_gc_from_pause_start, stop_price_ns, repaid_at_ns, stops_repaid_at_ns, spans_repaid_at_ns
    }
    SpanKey { process, span, label }
    InFlightKey { process, goroutine, span }
    InFlight { began, label }
    SpanFigures { begun, ended, abandoned, unmatched, hits, sum_ns, buckets, unpaid_ns }
    ProgramHealth {
        refused_processes, refused_goroutines, refused_gc, refused_spans, lost_events, alias_hits,
        failed_reads, process_events
    }
    Event { kind, tgid, epoch, old_epoch, target, parent, at, cgroup, parent_cgroup, comm }
}
