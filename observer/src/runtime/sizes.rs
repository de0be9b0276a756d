//! How much of each of the runtime's types is read.

use super::layout::{CpuStats, Field, Layout, P};

/// Bytes between two fields for which it does not pay to leave them out.
const NEAR: usize = 256;

/// What is read of one of the runtime's types: the fields used, and not what
/// lies between them, such as the 2 KiB of a P's run queue.
pub(super) struct Extent {
    /// From the start of the type up to the last field used.
    pub(super) len: usize,
    /// Offsets and sizes of what is read of that, ascending.
    pub(super) pieces: Vec<(usize, usize)>,
}

impl Extent {
    fn of(fields: impl IntoIterator<Item = Field>) -> Self {
        let mut fields: Vec<_> = fields.into_iter().collect();
        fields.sort_by_key(|field| field.offset);
        let mut pieces: Vec<(usize, usize)> = Vec::new();
        for field in fields {
            match pieces.last_mut() {
                Some((start, len)) if field.offset <= *start + *len + NEAR => {
                    *len = (*len).max(field.end() - *start);
                }
                _ => pieces.push((field.offset, field.size)),
            }
        }
        let len = pieces.last().map_or(0, |(start, len)| start + len);
        Self { len, pieces }
    }
}

/// Places in the rings of pauses.
const PAUSES: u64 = 256;
/// Pauses that are read: more collections between two samples are rare.
pub(super) const WINDOW: u64 = 16;

/// What is read of a ring of pauses: the last that was known, and those that
/// came since then; all of it where none was.
pub(super) fn window(ring: Field, cycles: Option<u64>) -> impl Iterator<Item = (usize, usize)> {
    let place = ring.size / PAUSES as usize;
    let (first, count) = match cycles {
        Some(cycles) => (cycles.wrapping_sub(1) % PAUSES, WINDOW),
        None => (0, PAUSES),
    };
    let before_end = count.min(PAUSES - first);
    let parts = [(first, before_end), (0, count - before_end)];
    let parts = parts.into_iter().filter(|(_, count)| *count > 0);
    parts.map(move |(first, count)| {
        let offset = ring.offset + place * first as usize;
        (offset, place * count as usize)
    })
}

/// What is read of each of the runtime's types.
pub(super) struct Sizes {
    pub(super) sched: Extent,
    pub(super) sched_head: usize,
    /// Without the rings of pauses.
    pub(super) memstats: Extent,
    pub(super) cycles: Field,
    /// `pause_ns` and `pause_end`.
    pub(super) rings: [Field; 2],
    pub(super) controller: Extent,
    pub(super) cpu: usize,
    pub(super) heap: Option<Field>,
    pub(super) p: Extent,
    pub(super) p_cache: Field,
    pub(super) p_created: Option<Field>,
    /// First and one past the last byte of what is read of an mcache.
    pub(super) cache: Option<(usize, usize)>,
}

fn end<const N: usize>(fields: [Option<Field>; N]) -> usize {
    fields
        .into_iter()
        .flatten()
        .map(Field::end)
        .max()
        .unwrap_or(0)
}

/// All up to there.
fn head(size: usize) -> Field {
    Field { offset: 0, size }
}

impl Sizes {
    pub(super) fn of(layout: &Layout) -> Self {
        let (s, p, c, m) = (
            &layout.sched,
            &layout.p,
            &layout.controller,
            &layout.memstats,
        );
        let heap = layout.heap_stats.as_ref();
        let sched_head = end([
            Some(s.run_queue),
            s.dead,
            s.dead_with_stack,
            s.dead_without_stack,
            Some(s.idle_processors),
        ]);
        let rings = [m.pauses, m.pause_ends];
        Self {
            sched_head,
            // The head as a whole: it also tells whether anything ran.
            sched: Extent::of(s.all().chain([head(sched_head)])),
            memstats: Extent {
                len: m.end().max(end([heap.map(|heap| heap.stats)])),
                ..Extent::of(
                    m.all()
                        .filter(|field| !rings.contains(field))
                        .chain(heap.map(|heap| heap.stats)),
                )
            },
            cycles: m.cycles,
            rings,
            controller: Extent::of(c.all()),
            cpu: layout.cpu_stats.as_ref().map_or(0, CpuStats::end),
            heap: heap.map(|heap| heap.stats),
            p: Extent::of(
                P {
                    // Read by itself: it lies far behind the others.
                    goroutines_created: None,
                    ..p.clone()
                }
                .all()
                .chain([head(p.syscall_tick.end())]),
            ),
            p_cache: p.mcache,
            p_created: p.goroutines_created,
            cache: heap.map(|heap| {
                // From the start on: what changes with every allocation is there.
                (0, end([Some(heap.cache_tiny), Some(heap.cache_spans)]))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Extent, Field, WINDOW, window};

    #[test]
    fn of_a_ring_what_came_since_is_read() {
        let ring = Field {
            offset: 100,
            size: 2048,
        };
        let read = |cycles| window(ring, cycles).collect::<Vec<_>>();
        assert_eq!(read(None), [(100, 2048)]);
        assert_eq!(read(Some(1)), [(100, 8 * WINDOW as usize)]);
        assert_eq!(read(Some(0)), [(100 + 8 * 255, 8), (100, 120)]);
        assert_eq!(read(Some(257 + 250)), [(100 + 8 * 250, 48), (100, 80)]);
    }

    #[test]
    fn what_lies_between_far_fields_is_left_out() {
        let field = |offset, size| Field { offset, size };
        let extent = Extent::of([field(3000, 8), field(0, 100), field(300, 8), field(90, 50)]);
        assert_eq!(extent.pieces, [(0, 308), (3000, 8)]);
        assert_eq!(extent.len, 3008);
    }
}
