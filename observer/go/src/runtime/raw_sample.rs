//! What is read at each sample, and the pointers remembered between samples
//! so that one vectored read is enough when nothing moved.

use std::sync::Arc;

use super::{
    error::StateError,
    memory::{Memory, Slot, VectoredRead, word, words},
};
use crate::release::{Field, Layout, Sizes};

/// Reads until the pointers stand still; the first sample needs four.
const ATTEMPTS: usize = 8;
/// Ps that are read of any process; of more where the machine has many CPUs.
const MANY_PROCESSORS: u64 = 1024;
/// A place this near to the globals is one of them.
const AMONG_GLOBALS: u64 = 64 << 10;

/// Where the globals are in this process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    pub(super) sched: u64,
    pub(super) allgs: u64,
    pub(super) allp: u64,
    pub(super) memstats: u64,
    pub(super) controller: u64,
    pub(super) cpu_stats: Option<u64>,
    pub(super) allm: Option<u64>,
}

/// A Go slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) data: u64,
    pub(super) len: u64,
    pub(super) capacity: u64,
}

impl Slice {
    fn read(bytes: &[u8]) -> Self {
        Self {
            data: word(bytes, 0),
            len: word(bytes, 8),
            capacity: word(bytes, 16),
        }
    }

    fn sound(self) -> bool {
        self.len <= self.capacity
            && (self.capacity == 0 || self.data != 0 && self.data.is_multiple_of(8))
    }
}

/// Most Ps that are read of one process. GOMAXPROCS is as large as somebody sets
/// it, and larger than four times the machine's CPUs only for a joke.
fn most_processors(cpus: u64) -> u64 {
    MANY_PROCESSORS.max(4 * cpus)
}

/// One P.
#[derive(Clone, Copy, Debug)]
pub(super) struct Processor {
    address: u64,
    /// Its cache, 0 for none.
    cache: u64,
    start: Slot,
    created: Option<Slot>,
    cache_slot: Option<Slot>,
}

/// The bytes of one instant.
pub(super) struct RawSample {
    addresses: Addresses,
    /// Bytes that are read of each type.
    sizes: Arc<Sizes>,
    batch: VectoredRead,
    fixed: Option<Fixed>,
    allp: Slice,
    processors: Vec<Processor>,
    more: Vec<Slot>,
}

/// Where the batch has what is read in any case.
#[derive(Clone, Copy)]
struct Fixed {
    sched: Slot,
    memstats: Slot,
    controller: Slot,
    allp: Slot,
    allgs: Slot,
    cpu: Option<Slot>,
    allm: Option<Slot>,
    array: Slot,
    heap_again: Option<Slot>,
    sched_again: Slot,
}

impl RawSample {
    pub(super) fn new(layout: &Layout, addresses: Addresses) -> Self {
        Self {
            addresses,
            sizes: layout.sizes(),
            batch: VectoredRead::default(),
            fixed: None,
            allp: Slice::default(),
            processors: Vec::new(),
            more: Vec::new(),
        }
    }

    /// Exchanges the buffer that is read into. What was read goes with it.
    pub(super) fn swap_buffer(&mut self, other: &mut VectoredRead) {
        std::mem::swap(&mut self.batch, other);
    }

    /// Reads everything at once, again where pointers had moved.
    /// `more` is read with it, for [`Self::more`].
    pub(super) fn take(
        &mut self,
        memory: &Memory,
        more: &[(u64, usize)],
    ) -> Result<(), StateError> {
        for _ in 0..ATTEMPTS {
            self.ask(more);
            memory.fetch(&mut self.batch)?;
            if !self.learn(memory.cpus())? {
                return Ok(());
            }
        }
        Err(StateError::Moving)
    }

    /// Counters first, then what is counted up from them in the Ps: a value
    /// that moves from a P to the counters between the two reads is then
    /// missed for once and never counted twice. The same holds for Ms, of which
    /// the one among the globals, `m0`, is never given back.
    fn ask(&mut self, more: &[(u64, usize)]) {
        let Self {
            addresses: at,
            sizes,
            batch,
            processors,
            allp,
            more: slots,
            ..
        } = self;
        batch.clear();
        slots.clear();
        let sched = batch.add(at.sched, sizes.sched);
        let memstats = batch.add(at.memstats, sizes.memstats);
        let controller = batch.add(at.controller, sizes.controller);
        let allp_slot = batch.add(at.allp, 24);
        let allgs = batch.add(at.allgs, 24);
        let cpu = at.cpu_stats.map(|cpu| batch.add(cpu, sizes.cpu));
        let allm = at.allm.map(|allm| batch.add(allm, 8));
        let global = |place: &(u64, usize)| place.0.abs_diff(at.sched) < AMONG_GLOBALS;
        let nowhere = allp_slot;
        slots.extend(more.iter().map(|place| {
            if global(place) {
                batch.add(place.0, place.1)
            } else {
                nowhere
            }
        }));
        batch.then();
        for (slot, place) in slots.iter_mut().zip(more) {
            if !global(place) {
                *slot = batch.add(place.0, place.1);
            }
        }
        let array = batch.add(allp.data, 8 * allp.capacity as usize);
        for p in processors.iter_mut() {
            p.start = batch.add(p.address, sizes.p);
            p.created = sizes
                .p_created
                .map(|field| batch.add(field.at(p.address), field.size));
            p.cache_slot = match sizes.cache {
                Some((start, end)) if p.cache != 0 => {
                    Some(batch.add(p.cache.wrapping_add(start as u64), end - start))
                }
                _ => None,
            };
        }
        batch.then();
        self.fixed = Some(Fixed {
            sched,
            memstats,
            controller,
            allp: allp_slot,
            allgs,
            cpu,
            allm,
            array,
            heap_again: sizes
                .heap
                .map(|heap| batch.add(heap.at(at.memstats), heap.size)),
            sched_again: batch.add(at.sched, sizes.sched_head),
        });
    }

    /// Takes over pointers that changed; whether any did.
    fn learn(&mut self, cpus: u64) -> Result<bool, StateError> {
        let Some(fixed) = self.fixed else {
            return Ok(true);
        };
        let allp = Slice::read(self.batch.bytes(fixed.allp));
        if !allp.sound() {
            return Err(StateError::implausible("allp", allp.len));
        }
        let most = most_processors(cpus);
        if allp.capacity > most {
            return Err(StateError::TooMany {
                what: "Ps",
                value: allp.capacity,
                most,
            });
        }
        if !self.allgs().sound() || self.allgs().capacity > u64::from(u32::MAX) {
            return Err(StateError::implausible("allgs", self.allgs().len));
        }
        if allp.len == 0 || self.allgs().len == 0 {
            return Err(StateError::NotStarted);
        }
        if allp != self.allp {
            self.allp = allp;
            self.processors.clear();
            return Ok(true);
        }
        let nowhere = fixed.allp;
        let array = words(self.batch.bytes(fixed.array));
        let addresses = || array.clone().filter(|p| *p != 0);
        if !addresses().eq(self.processors.iter().map(|p| p.address)) {
            self.processors = addresses()
                .map(|address| Processor {
                    address,
                    cache: 0,
                    start: nowhere,
                    created: None,
                    cache_slot: None,
                })
                .collect();
            return Ok(true);
        }
        let mut changed = false;
        for p in &mut self.processors {
            let cache = self.sizes.p_cache.of(self.batch.bytes(p.start));
            changed |= cache != p.cache;
            p.cache = cache;
        }
        Ok(changed)
    }

    fn part(&self, slot: impl Fn(&Fixed) -> Option<Slot>) -> &[u8] {
        let slot = self.fixed.as_ref().and_then(slot);
        slot.map_or(&[], |slot| self.batch.bytes(slot))
    }

    /// `sched`.
    pub(super) fn sched(&self) -> &[u8] {
        self.part(|fixed| Some(fixed.sched))
    }

    /// The start of `sched` once more, read last.
    pub(super) fn sched_again(&self) -> &[u8] {
        self.part(|fixed| Some(fixed.sched_again))
    }

    /// Address and size of what tells whether anything ran: the counters at the
    /// head of `sched`, `allp`, and the first `ticks` bytes of every P. Nothing
    /// before the first sample.
    pub(super) fn marks(&self, ticks: usize) -> impl Iterator<Item = (u64, usize)> {
        let at = &self.addresses;
        let globals = [(at.sched, self.sizes.sched_head), (at.allp, 24)];
        let known = if self.processors.is_empty() { 0 } else { 2 };
        let processors = self.processors.iter();
        globals
            .into_iter()
            .take(known)
            .chain(processors.map(move |p| (p.address, ticks)))
    }

    /// What [`Self::marks`] asks for, as the last sample found it.
    pub(super) fn marks_read(&self, ticks: usize) -> impl Iterator<Item = &[u8]> {
        let sched = self.sched().get(..self.sizes.sched_head);
        let globals = [sched.unwrap_or(&[]), self.part(|fixed| Some(fixed.allp))];
        let processors = self.all_processors();
        globals
            .into_iter()
            .chain(processors.map(move |p| p.get(..ticks).unwrap_or(p)))
    }

    /// What else was asked for, place by place.
    pub(super) fn more(&self) -> impl Iterator<Item = &[u8]> {
        self.more.iter().map(|slot| self.batch.bytes(*slot))
    }

    /// `memstats`.
    pub(super) fn memstats(&self) -> &[u8] {
        self.part(|fixed| Some(fixed.memstats))
    }

    /// `memstats.heapStats`.
    pub(super) fn heap_stats(&self) -> &[u8] {
        let heap = self.sizes.heap.map_or(0..0, |heap| heap.offset..heap.end());
        self.memstats().get(heap).unwrap_or(&[])
    }

    /// `memstats.heapStats` once more, read last.
    pub(super) fn heap_stats_again(&self) -> &[u8] {
        self.part(|fixed| fixed.heap_again)
    }

    /// `gcController`.
    pub(super) fn controller(&self) -> &[u8] {
        self.part(|fixed| Some(fixed.controller))
    }

    /// `work.cpuStats`.
    pub(super) fn cpu_stats(&self) -> Option<&[u8]> {
        let slot = self.fixed.as_ref()?.cpu?;
        Some(self.batch.bytes(slot))
    }

    /// The first M of the list.
    pub(super) fn allm(&self) -> Option<u64> {
        let slot = self.fixed.as_ref()?.allm?;
        Some(word(self.batch.bytes(slot), 0))
    }

    /// `allgs`.
    pub(super) fn allgs(&self) -> Slice {
        Slice::read(self.part(|fixed| Some(fixed.allgs)))
    }

    /// GOMAXPROCS.
    pub(super) fn gomaxprocs(&self) -> usize {
        self.allp.len as usize
    }

    /// The Ps in use, first bytes of each.
    pub(super) fn processors(&self) -> impl Iterator<Item = &[u8]> {
        self.all_processors().take(self.gomaxprocs())
    }

    /// The Ps in use and those that a larger GOMAXPROCS once needed.
    pub(super) fn all_processors(&self) -> impl Iterator<Item = &[u8]> {
        self.processors.iter().map(|p| self.batch.bytes(p.start))
    }

    /// `p.goroutinesCreated` of the Ps in use, together.
    pub(super) fn created_by_processors(&self) -> u64 {
        let slots = self.processors.iter().take(self.gomaxprocs());
        slots
            .filter_map(|p| Some(word(self.batch.bytes(p.created?), 0)))
            .fold(0, u64::wrapping_add)
    }

    /// The Ps' caches: address, where reading began in it, bytes, and the P's.
    pub(super) fn caches(&self) -> impl Iterator<Item = McacheBytes<'_>> {
        let start = self.sizes.cache.map_or(0, |(start, _)| start);
        self.processors
            .iter()
            .take(self.gomaxprocs())
            .map(move |p| McacheBytes {
                address: p.cache,
                start,
                bytes: p.cache_slot.map_or(&[], |slot| self.batch.bytes(slot)),
            })
    }
}

/// An mcache as it was read.
#[derive(Clone, Copy)]
pub(super) struct McacheBytes<'a> {
    /// Where it is.
    pub(super) address: u64,
    /// Offset of the first byte read.
    pub(super) start: usize,
    /// What was read; empty where the P has no cache.
    pub(super) bytes: &'a [u8],
}

impl McacheBytes<'_> {
    /// The bytes of one of its fields.
    pub(super) fn field(&self, field: Field) -> &[u8] {
        self.bytes
            .get(field.offset - self.start..field.end() - self.start)
            .unwrap_or(&[])
    }
}
