//! `MemStats`' allocation figures without stopping the world.
//!
//! `ReadMemStats` first makes every P add what its cache holds to
//! `memstats.heapStats`, then adds the ring of three together. Here the caches
//! are left alone and what they would add is read from their spans.

use super::{
    error::StateError,
    figures::Allocation,
    layout::{HeapStats, Layout},
    memory::{Batch, Memory, Slot, word, words},
    snapshot::{Cache, Snapshot},
};

/// Spans nearer to one another than this are read in one piece.
const NEAR: u64 = 512;
/// `_Pidle`: nothing runs on this P.
const IDLE: u64 = 0;
/// Growth between two reads a few microseconds apart that nobody reaches; the
/// ring being merged meanwhile looks like this.
const MOST_GROWTH: u64 = 1 << 30;

/// What the ring says, summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    bytes: u64,
    mallocs: u64,
    freed_bytes: u64,
    frees: u64,
    tiny: u64,
}

/// What a P's cache would add.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Unflushed {
    bytes: i64,
    objects: i64,
}

/// A cache as of the last sample, to tell whether anything happened.
#[derive(Clone, Debug, Default)]
struct Known {
    ticks: (u64, u64),
    idle: bool,
    address: u64,
    bytes: Vec<u8>,
    unflushed: Unflushed,
}

/// Reads the caches' spans.
#[derive(Default)]
pub(super) struct Caches {
    batch: Batch,
    known: Vec<Known>,
}

/// A span to read.
struct Wanted {
    address: u64,
    cache: usize,
    index: usize,
    slot: Option<Slot>,
    skip: usize,
}

impl Caches {
    /// The figures as of now.
    pub(super) fn read(
        &mut self,
        memory: &Memory,
        layout: &Layout,
        heap: &HeapStats,
        snapshot: &Snapshot,
    ) -> Result<Allocation, StateError> {
        let sizes = &layout.size_classes;
        let totals = Totals::read(heap, sizes, snapshot.heap_stats());
        // Mostly nothing is merged meanwhile.
        let again = snapshot.heap_stats_again();
        if again != snapshot.heap_stats() && !totals.steady(&Totals::read(heap, sizes, again)) {
            return Err(StateError::Torn("memstats.heapStats"));
        }
        self.refresh(memory, layout, heap, snapshot)?;
        let mut unflushed = Unflushed::default();
        for known in &self.known {
            unflushed.bytes += known.unflushed.bytes;
            unflushed.objects += known.unflushed.objects;
        }
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

    /// Reads the spans of every cache that may have changed.
    fn refresh(
        &mut self,
        memory: &Memory,
        layout: &Layout,
        heap: &HeapStats,
        snapshot: &Snapshot,
    ) -> Result<(), StateError> {
        // Something that runs may allocate from another P's cache, for a new
        // thread for example. So either nothing ran at all or all are read.
        let mut still = self.known.len() == snapshot.gomaxprocs();
        self.known
            .resize_with(snapshot.gomaxprocs(), Known::default);
        for (known, cache) in self.known.iter_mut().zip(snapshot.caches()) {
            still &= known.update(layout, cache);
        }
        if still {
            return Ok(());
        }
        let mut wanted = Vec::new();
        let spans = heap.cache_spans;
        for (i, (known, cache)) in self.known.iter_mut().zip(snapshot.caches()).enumerate() {
            known.unflushed = Unflushed::default();
            for (index, address) in words(cache.field(spans)).enumerate() {
                if address != 0 {
                    wanted.push(Wanted {
                        address,
                        cache: i,
                        index,
                        slot: None,
                        skip: 0,
                    });
                }
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        wanted.sort_unstable_by_key(|span| span.address);
        self.batch.clear();
        ask(&mut self.batch, heap, &mut wanted);
        let known = self.known.iter();
        let again: Vec<Option<Slot>> = known
            .map(|known| {
                (known.address != 0).then(|| {
                    self.batch
                        .add(known.address + spans.offset as u64, spans.size)
                })
            })
            .collect();
        if let Err(error) = memory.fetch(&mut self.batch) {
            // Nothing is known of them now.
            self.known.clear();
            return Err(error.into());
        }
        for span in &wanted {
            // Given back meanwhile: by now it counts in the ring.
            let known = &mut self.known[span.cache];
            let (Some(slot), Some(again)) = (span.slot, again[span.cache]) else {
                continue;
            };
            if word(self.batch.bytes(again), 8 * span.index) != span.address {
                continue;
            }
            let bytes = &self.batch.bytes(slot)[span.skip..];
            let field = |f: super::layout::Field| {
                super::memory::number(bytes, f.offset - first(heap), f.size) as i64
            };
            // Up to 1.18 a span counts as used up from when it is cached.
            let from = heap.span_used_before.unwrap_or(heap.span_slots);
            let objects = field(heap.span_used) - field(from);
            let size = layout
                .size_classes
                .get(span.index / 2)
                .copied()
                .unwrap_or(0);
            known.unflushed.objects += objects;
            known.unflushed.bytes += objects * size as i64;
        }
        Ok(())
    }
}

/// The first byte that is read of a span.
fn first(heap: &HeapStats) -> usize {
    heap.span_slots.offset.min(heap.span_used.offset)
}

/// Asks for sorted spans, those near one another in one piece.
fn ask(batch: &mut Batch, heap: &HeapStats, wanted: &mut [Wanted]) {
    let used_before = heap.span_used_before.unwrap_or(heap.span_used);
    let end = heap
        .span_used
        .end()
        .max(used_before.end())
        .max(heap.span_slots.end());
    let len = end - first(heap);
    let mut i = 0;
    while i < wanted.len() {
        let start = wanted[i].address;
        let mut j = i;
        while j + 1 < wanted.len() && wanted[j + 1].address - wanted[j].address <= NEAR {
            j += 1;
        }
        let whole = (wanted[j].address - start) as usize + len;
        let slot = batch.add(start + first(heap) as u64, whole);
        for span in &mut wanted[i..=j] {
            span.slot = Some(slot);
            span.skip = (span.address - start) as usize;
        }
        i = j + 1;
    }
}

impl Known {
    /// Takes over what the sample shows; whether the P was idle, is idle, and
    /// has neither scheduled nor allocated anything that shows in between.
    fn update(&mut self, layout: &Layout, cache: Cache<'_>) -> bool {
        let p = cache.processor;
        let ticks = (layout.p.schedule_tick.of(p), layout.p.syscall_tick.of(p));
        let idle = layout.p.status.of(p) == IDLE;
        let same = idle
            && self.idle
            && self.ticks == ticks
            && self.address == cache.address
            && self.bytes == cache.bytes;
        if !same {
            self.bytes.clear();
            self.bytes.extend_from_slice(cache.bytes);
            self.ticks = ticks;
            self.idle = idle;
            self.address = cache.address;
        }
        same
    }
}

impl Totals {
    fn read(heap: &HeapStats, sizes: &[u64], bytes: &[u8]) -> Self {
        let mut sum = Self::default();
        let ring = heap.ring.offset..heap.ring.end();
        for delta in bytes.get(ring).unwrap_or(&[]).chunks_exact(heap.delta.size) {
            let mut add = |to: fn(&mut Self) -> &mut u64, value: u64| {
                let to = to(&mut sum);
                *to = to.wrapping_add(value);
            };
            add(|s| &mut s.tiny, heap.tiny.of(delta));
            add(|s| &mut s.bytes, heap.large_bytes.of(delta));
            add(|s| &mut s.mallocs, heap.large_count.of(delta));
            add(|s| &mut s.freed_bytes, heap.large_free_bytes.of(delta));
            add(|s| &mut s.frees, heap.large_free_count.of(delta));
            for (class, size) in sizes.iter().enumerate() {
                let made = word(delta, heap.small_count.offset + 8 * class);
                let freed = word(delta, heap.small_free_count.offset + 8 * class);
                add(|s| &mut s.mallocs, made);
                add(|s| &mut s.bytes, made.wrapping_mul(*size));
                add(|s| &mut s.frees, freed);
                add(|s| &mut s.freed_bytes, freed.wrapping_mul(*size));
            }
        }
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
