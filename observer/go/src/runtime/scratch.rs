//! Room that is of no use after a sample.

use std::cell::Cell;

use super::{allocation::CachedSpans, memory::VectoredRead};

/// Tens of kilobytes.
#[derive(Default)]
pub(super) struct Scratch {
    /// For what is read of the runtime's globals and Ps.
    pub(super) snapshot: VectoredRead,
    /// For the caches' spans.
    pub(super) spans: CachedSpans,
    /// For Ms.
    pub(super) threads: VectoredRead,
}

/// Lends it. Readers that take turns on a thread share one, which spares memory
/// and the CPU's caches.
pub(super) fn with<R>(work: impl FnOnce(&mut Scratch) -> R) -> R {
    thread_local! {
        static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
    }
    let mut scratch = SCRATCH.take().unwrap_or_default();
    let result = work(&mut scratch);
    scratch.snapshot.shrink();
    scratch.spans.shrink();
    scratch.threads.shrink();
    SCRATCH.set(Some(scratch));
    result
}
