//! Whether anything can have changed since the last sample.
//!
//! Nearly all processes are idle nearly all the time. Go code runs on a P, and
//! taking one counts its `schedtick` or `syscalltick`: where every P is idle at
//! two moments and no tick has counted in between, nothing ran, and what was
//! read in between still holds. A few hundred bytes tell, instead of the tens
//! of kilobytes of a sample.

use super::{
    layout::Layout,
    memory::{Batch, Memory},
    snapshot::Snapshot,
};

/// What was read last, of which the last sample is younger.
#[derive(Default)]
pub(super) struct Gate {
    batch: Batch,
    marks: Vec<u8>,
}

impl Gate {
    /// Whether the process stood still since this was last asked.
    pub(super) fn stands_still(
        &mut self,
        memory: &Memory,
        layout: &Layout,
        snapshot: &Snapshot,
    ) -> bool {
        self.batch.clear();
        let slots: Vec<_> = snapshot
            .marks(
                layout
                    .p
                    .schedule_tick
                    .end()
                    .max(layout.p.syscall_tick.end()),
            )
            .map(|(address, size)| self.batch.add(address, size))
            .collect();
        // An error is for the sample to tell.
        if slots.is_empty() || memory.fetch(&mut self.batch).is_err() {
            self.forget();
            return false;
        }
        let marks: Vec<u8> = slots
            .iter()
            .flat_map(|slot| self.batch.bytes(*slot))
            .copied()
            .collect();
        let sched = self.batch.bytes(slots[0]);
        let idle = layout.sched.idle_processors.signed(sched) == snapshot.gomaxprocs() as i64;
        let still = idle && marks == self.marks;
        self.marks = if idle { marks } else { Vec::new() };
        still
    }

    /// The last sample is of no use.
    pub(super) fn forget(&mut self) {
        self.marks.clear();
    }
}
