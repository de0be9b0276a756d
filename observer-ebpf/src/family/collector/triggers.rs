//! What triggered a cycle: `gcStart` is told, and the cycle begins later on the
//! same goroutine, or not at all.
//!
//! Many goroutines call `gcStart` for one cycle, and all but one turn back unseen.
//! So places fill with leftovers, which the next callers take in turn. A cycle
//! whose goroutine lost its place that way counts as one whose trigger was not
//! seen.
//!
//! A place is one word, goroutine and trigger together, so that nobody finds the
//! trigger of one goroutine beside another.

use super::Collector;
use crate::{GC_TRIGGERS, PENDING_TRIGGERS, ground::Words};

/// A cycle's trigger, where its `gcStart` was not seen.
pub(crate) const NOT_SEEN: u32 = GC_TRIGGERS as u32 - 1;

/// The bits of a place that hold the trigger. A `g` lies at a multiple of eight.
const TRIGGER: u64 = 7;

/// What a place holds for a goroutine; 0 is a free place.
const fn place_of(goroutine: u64, kind: u64) -> u64 {
    let trigger = if kind < NOT_SEEN as u64 {
        kind
    } else {
        NOT_SEEN as u64
    };
    goroutine & !TRIGGER | trigger
}

impl<K: Words> Collector<K> {
    /// Keeps the trigger of a goroutine that called `gcStart`. Several threads may
    /// be here at once, hence the exchange.
    #[inline(always)]
    pub(crate) fn remember(self, goroutine: u64, kind: u64) {
        let new = place_of(goroutine, kind);
        for index in 0..PENDING_TRIGGERS {
            // SAFETY: a field of a live map value.
            if unsafe { self.kernel.load(self.place(index)) } ^ new <= TRIGGER {
                // Left over from an earlier call of this goroutine, which runs here.
                // SAFETY: as above.
                unsafe { self.kernel.store(self.found(index), new) };
                return;
            }
        }
        let mut index = 0;
        while index < PENDING_TRIGGERS {
            // SAFETY: as above.
            if unsafe { self.kernel.exchange(self.place(index), 0, new) } == 0 {
                return;
            }
            index = self.kernel.next(index);
        }
        // SAFETY: as above.
        unsafe {
            let next = &raw mut (*self.gc).pending_next;
            let turn = self.kernel.fetch_add(next, 1) as usize;
            self.kernel.store(self.place(turn % PENDING_TRIGGERS), new);
        }
    }

    /// Takes back what [`Self::remember`] kept.
    #[inline(always)]
    pub(crate) fn recall(self, goroutine: u64) -> u32 {
        let goroutine = goroutine & !TRIGGER;
        for index in 0..PENDING_TRIGGERS {
            // What is left is the trigger, where the goroutine is this one.
            // SAFETY: a field of a live map value.
            let trigger = unsafe { self.kernel.load(self.place(index)) } ^ goroutine;
            if trigger <= TRIGGER {
                // Whoever took the place meanwhile keeps it.
                let found = goroutine | trigger;
                // SAFETY: as above.
                unsafe { self.kernel.exchange(self.found(index), found, 0) };
                return trigger as u32;
            }
        }
        NOT_SEEN
    }

    /// `index` must be below [`PENDING_TRIGGERS`].
    #[inline(always)]
    fn place(self, index: usize) -> *mut u64 {
        // SAFETY: a live map value, and the index is in range as the callers show.
        unsafe { (&raw mut (*self.gc).pending).cast::<u64>().add(index) }
    }

    /// As [`Self::place`], where a loop ends. The compiler does not know the index
    /// and prepares the pointer here, and not once for each round.
    #[inline(always)]
    fn found(self, index: usize) -> *mut u64 {
        self.place(self.kernel.opaque(index))
    }
}
