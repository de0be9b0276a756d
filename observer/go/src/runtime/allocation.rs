//! `MemStats`' allocation figures without stopping the world.
//!
//! `ReadMemStats` first makes every P add what its cache holds to
//! `memstats.heapStats`, then adds the ring of three together. Here the caches
//! are left alone and what they would add is read from their spans.

use super::{
    error::StateError,
    figures::Allocation,
    memory::{Memory, Slot, VectoredRead, same, word, words},
    raw_sample::RawSample,
};
use crate::release::{Field, HeapStats, Layout, number};

/// Growth between two reads a few microseconds apart that nobody reaches; the
/// ring being merged meanwhile looks like this.
const MOST_GROWTH: u64 = 1 << 30;

/// Objects of a span: more than the smallest ones have, of 8 bytes.
const MOST_IN_SPAN: u64 = 1 << 16;
/// Spans that room is kept for: those of more than 400 Ps.
const MOST_KEPT: usize = 1 << 16;

/// What the ring says, summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    bytes: u64,
    mallocs: u64,
    freed_bytes: u64,
    frees: u64,
    tiny: u64,
}

/// What the Ps' caches would add.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Unflushed {
    bytes: i64,
    objects: i64,
}

/// Room for the caches' spans, of no use after the sample.
#[derive(Default)]
pub(super) struct CachedSpans {
    batch: VectoredRead,
    wanted: Vec<Wanted>,
    again: Vec<Option<Slot>>,
}

/// A span to read.
struct Wanted {
    address: u64,
    cache: usize,
    index: usize,
    slot: Slot,
}

/// The figures as of now.
pub(super) fn read(
    memory: &Memory,
    layout: &Layout,
    heap: &HeapStats,
    snapshot: &RawSample,
    spans: &mut CachedSpans,
) -> Result<Allocation, StateError> {
    let sizes = &layout.size_classes;
    let totals = Totals::read(heap, sizes, snapshot.heap_stats());
    // Mostly nothing is merged meanwhile.
    let again = snapshot.heap_stats_again();
    if !same(again, snapshot.heap_stats()) && !totals.steady(&Totals::read(heap, sizes, again)) {
        return Err(StateError::Torn("memstats.heapStats"));
    }
    let unflushed = spans.unflushed(memory, layout, heap, snapshot)?;
    let tiny = snapshot
        .caches()
        .map(|cache| word(cache.field(heap.cache_tiny), 0))
        .fold(totals.tiny, u64::wrapping_add);
    let total_bytes = totals.bytes.wrapping_add_signed(unflushed.bytes);
    let mallocs = totals
        .mallocs
        .wrapping_add_signed(unflushed.objects)
        .wrapping_add(tiny);
    let frees = totals.frees.wrapping_add(tiny);
    Ok(Allocation {
        heap_bytes: total_bytes
            .checked_sub(totals.freed_bytes)
            .ok_or_else(|| StateError::implausible("freed bytes", totals.freed_bytes))?,
        heap_objects: mallocs
            .checked_sub(frees)
            .ok_or_else(|| StateError::implausible("frees", frees))?,
        total_bytes,
        mallocs,
        frees,
    })
}

impl CachedSpans {
    /// As [`VectoredRead::shrink`].
    pub(super) fn shrink(&mut self) {
        self.batch.shrink();
        self.wanted.shrink_to(MOST_KEPT);
    }

    /// Reads the spans of every cache.
    fn unflushed(
        &mut self,
        memory: &Memory,
        layout: &Layout,
        heap: &HeapStats,
        snapshot: &RawSample,
    ) -> Result<Unflushed, StateError> {
        let Self {
            batch,
            wanted,
            again,
        } = self;
        wanted.clear();
        batch.clear();
        let spans = heap.cache_spans;
        let (first, length) = (first(heap), length(heap));
        for (i, cache) in snapshot.caches().enumerate() {
            let bytes = cache.field(spans);
            let empty = empty(bytes);
            for (index, address) in words(bytes).enumerate() {
                if address != empty && address != 0 {
                    wanted.push(Wanted {
                        address,
                        cache: i,
                        index,
                        slot: batch.add(address.wrapping_add(first as u64), length),
                    });
                }
            }
        }
        let mut sum = Unflushed::default();
        if wanted.is_empty() {
            return Ok(sum);
        }
        // A span that its cache still holds afterwards was not given back when it was read.
        batch.then();
        again.clear();
        again.extend(snapshot.caches().map(|cache| {
            (!cache.bytes.is_empty()).then(|| batch.add(spans.at(cache.address), spans.size))
        }));
        memory.fetch(batch)?;
        for span in wanted {
            // Given back meanwhile: by now it counts in the ring.
            let Some(again) = again[span.cache] else {
                continue;
            };
            if word(batch.bytes(again), 8 * span.index) != span.address {
                continue;
            }
            let bytes = batch.bytes(span.slot);
            let field = |f: Field| number(bytes, f.offset - first, f.size) as i64;
            // Up to 1.18 a span counts as used up from when it is cached.
            let from = heap.span_used_before.unwrap_or(heap.span_slots);
            let objects = field(heap.span_used).wrapping_sub(field(from));
            if objects.unsigned_abs() > MOST_IN_SPAN {
                return Err(StateError::implausible("objects of a span", objects as u64));
            }
            let size = layout.size_classes.get(span.index / 2);
            sum.objects += objects;
            sum.bytes += objects * size.copied().unwrap_or(0) as i64;
        }
        Ok(sum)
    }
}

/// The span without objects that stands where a cache has none, or 0: a span
/// with objects is of one class, so in one place, and the two places of class 0,
/// which is for large objects, have none ever.
fn empty(spans: &[u8]) -> u64 {
    let place = word(spans, 0);
    if place == word(spans, 8) { place } else { 0 }
}

/// The first byte that is read of a span.
fn first(heap: &HeapStats) -> usize {
    heap.span_slots.offset.min(heap.span_used.offset)
}

/// How much is read of a span, from there on.
fn length(heap: &HeapStats) -> usize {
    let used_before = heap.span_used_before.unwrap_or(heap.span_used);
    let end = heap
        .span_used
        .end()
        .max(used_before.end())
        .max(heap.span_slots.end());
    end - first(heap)
}

impl Totals {
    fn read(heap: &HeapStats, sizes: &[u64], bytes: &[u8]) -> Self {
        let ring = bytes.get(heap.ring.offset..heap.ring.end()).unwrap_or(&[]);
        let deltas = || ring.chunks_exact(heap.delta.size);
        let of = |field: Field| deltas().fold(0, |sum: u64, d| sum.wrapping_add(field.of(d)));
        let mut sum = Self {
            bytes: of(heap.large_bytes),
            mallocs: of(heap.large_count),
            freed_bytes: of(heap.large_free_bytes),
            frees: of(heap.large_free_count),
            tiny: of(heap.tiny),
        };
        let mut add = |counts: Field, number: fn(&mut Self) -> (&mut u64, &mut u64)| {
            let (objects, bytes) = number(&mut sum);
            for delta in deltas() {
                let counts = delta.get(counts.offset..counts.end()).unwrap_or(&[]);
                for (count, size) in words(counts).zip(sizes) {
                    *objects = objects.wrapping_add(count);
                    *bytes = bytes.wrapping_add(count.wrapping_mul(*size));
                }
            }
        };
        add(heap.small_count, |sum| (&mut sum.mallocs, &mut sum.bytes));
        add(heap.small_free_count, |sum| {
            (&mut sum.frees, &mut sum.freed_bytes)
        });
        sum
    }

    /// Whether `later` follows this by an amount that allocation explains:
    /// the runtime merges the ring when `runtime/metrics` is read, and what is
    /// read in the middle of that counts much twice or not at all.
    fn steady(&self, later: &Self) -> bool {
        let near = |from: u64, to: u64, most: u64| to.wrapping_sub(from) <= most;
        near(self.bytes, later.bytes, MOST_GROWTH)
            && near(self.freed_bytes, later.freed_bytes, MOST_GROWTH)
            && near(self.mallocs, later.mallocs, MOST_GROWTH >> 4)
            && near(self.frees, later.frees, MOST_GROWTH >> 4)
            && near(self.tiny, later.tiny, MOST_GROWTH >> 4)
    }
}
