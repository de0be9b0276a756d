//! Whether anything can have changed since the last sample.
//!
//! Nearly all processes are idle nearly all the time. Go code runs on a P, and
//! taking one counts its `schedtick` or `syscalltick`: where every P is idle at
//! two moments and no tick has counted in between, nothing ran, and what was
//! read in between still holds. A few hundred bytes tell, instead of the tens
//! of kilobytes of a sample.
//!
//! A process that is never found standing still would only pay for being asked:
//! it is sampled at once, and two samples in a row tell whether it has come to
//! rest.

use super::{
    memory::{Memory, VectoredRead},
    raw_sample::RawSample,
};
use crate::release::Layout;

/// Times in a row that a process must have moved before it is not asked.
const BUSY: u32 = 2;

/// What was read last, of which the last sample is younger.
#[derive(Default)]
pub(super) struct IdleCheck {
    batch: VectoredRead,
    /// Empty where some P was not idle, or nothing was read.
    marks: Vec<u8>,
    /// Room for the next.
    next: Vec<u8>,
    moved: u32,
}

impl IdleCheck {
    /// Whether the process stood still since this was last asked.
    pub(super) fn stands_still(
        &mut self,
        memory: &Memory,
        layout: &Layout,
        snapshot: &RawSample,
    ) -> bool {
        if self.moved >= BUSY {
            return false;
        }
        self.batch.clear();
        let slots: Vec<_> = snapshot
            .marks(ticks(layout))
            .map(|(address, size)| self.batch.add(address, size))
            .collect();
        // An error is for the sample to tell.
        if slots.is_empty() || memory.fetch(&mut self.batch).is_err() {
            self.forget();
            return false;
        }
        self.next.clear();
        for slot in slots {
            self.next.extend_from_slice(self.batch.bytes(slot));
        }
        let still = self.compare(layout, snapshot);
        self.moved = if still { 0 } else { self.moved + 1 };
        if self.moved == BUSY {
            // From here on sample is compared with sample, not with these.
            self.forget();
        }
        still
    }

    /// A sample was taken. Where it found what the one before it had found,
    /// nothing ran in between nor while it was read, and its marks hold.
    pub(super) fn sampled(&mut self, layout: &Layout, snapshot: &RawSample) {
        if self.moved < BUSY {
            return;
        }
        self.next.clear();
        for mark in snapshot.marks_read(ticks(layout)) {
            self.next.extend_from_slice(mark);
        }
        if self.compare(layout, snapshot) {
            self.moved = 0;
        }
    }

    /// Whether every P is idle and was so before, without a tick in between.
    fn compare(&mut self, layout: &Layout, snapshot: &RawSample) -> bool {
        // The head of `sched` comes first.
        let idle = layout.sched.idle_processors.signed(&self.next) == snapshot.gomaxprocs() as i64;
        let still = idle && self.next == self.marks;
        if idle {
            std::mem::swap(&mut self.marks, &mut self.next);
        } else {
            self.marks.clear();
        }
        still
    }

    /// The last sample is of no use.
    pub(super) fn forget(&mut self) {
        self.marks.clear();
    }
}

/// How many of a P's first bytes have its ticks.
fn ticks(layout: &Layout) -> usize {
    let p = &layout.p;
    p.schedule_tick.end().max(p.syscall_tick.end())
}
