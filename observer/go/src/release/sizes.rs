//! How much of each of the runtime's types is read.

use super::{
    field::Field,
    types::{Controller, CpuStats, HeapStats, Memstats, P, Sched},
};

/// Bytes from the start of each of the runtime's types up to the last field used.
#[derive(Debug)]
pub(crate) struct Sizes {
    pub(crate) sched: usize,
    pub(crate) sched_head: usize,
    pub(crate) memstats: usize,
    pub(crate) controller: usize,
    pub(crate) cpu: usize,
    pub(crate) heap: Option<Field>,
    pub(crate) p: usize,
    pub(crate) p_cache: Field,
    pub(crate) p_created: Option<Field>,
    /// First and one past the last byte of what is read of an mcache.
    pub(crate) cache: Option<(usize, usize)>,
}

fn end<const N: usize>(fields: [Option<Field>; N]) -> usize {
    fields
        .into_iter()
        .flatten()
        .map(Field::end)
        .max()
        .unwrap_or(0)
}

/// The types of a layout that are read whole.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) sched: &'a Sched,
    pub(super) p: &'a P,
    pub(super) controller: &'a Controller,
    pub(super) memstats: &'a Memstats,
    pub(super) heap_stats: Option<&'a HeapStats>,
    pub(super) cpu_stats: Option<&'a CpuStats>,
}

impl Sizes {
    pub(super) fn of(parts: Parts<'_>) -> Self {
        let (s, p, c, m) = (parts.sched, parts.p, parts.controller, parts.memstats);
        let heap = parts.heap_stats;
        let sched_head = end([
            Some(s.run_queue),
            s.dead,
            s.dead_with_stack,
            s.dead_without_stack,
            Some(s.idle_processors),
        ]);
        Self {
            sched_head,
            sched: s.end(),
            memstats: m.end().max(end([heap.map(|heap| heap.stats)])),
            controller: c.end(),
            cpu: parts.cpu_stats.map_or(0, CpuStats::end),
            heap: heap.map(|heap| heap.stats),
            // Read by itself: it lies far behind the others.
            p: P {
                goroutines_created: None,
                ..p.clone()
            }
            .end(),
            p_cache: p.mcache,
            p_created: p.goroutines_created,
            cache: heap.map(|heap| {
                // From the start on: what changes with every allocation is there.
                (0, end([Some(heap.cache_tiny), Some(heap.cache_spans)]))
            }),
        }
    }
}
