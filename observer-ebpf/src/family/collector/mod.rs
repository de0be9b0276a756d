//! Collections: what triggered them, and what their parts took.

mod cycles;
mod figures;
mod triggers;

pub use figures::{
    CYCLE_BEGUN, CYCLE_MARKING, CYCLE_UNSEEN, GC_TRIGGERS, GcCycleFigures, GcFigures,
    PENDING_TRIGGERS,
};
pub(crate) use triggers::NOT_SEEN;

use super::{CostControl, Family, Sites};
use crate::ground::Words;

/// Its probes are of no use without those of the stops, and come and go with them.
pub(super) static FAMILY: Family = Family {
    name: "collector",
    on_request: false,
    groups: &[],
    thinning: CostControl::AtOnce,
    sites: Sites::Chosen,
    figures: &[],
};

/// One process's collector and stops: the map's value, and what changes it.
///
/// Stops exclude each other by the runtime's `worldsema`, and the beginnings of
/// cycles by its `work.startSema`. So the methods write plainly what only the
/// holder of such a lock changes, and with [`Words`] what several threads change
/// at once.
#[derive(Clone, Copy)]
pub(crate) struct Collector<K> {
    pub(crate) kernel: K,
    pub(crate) gc: *mut GcFigures,
}

impl<K: Words> Collector<K> {
    /// # Safety
    ///
    /// `gc` must be a live map value for as long as the copies of this are used.
    #[inline(always)]
    pub(crate) unsafe fn new(kernel: K, gc: *mut GcFigures) -> Self {
        Self { kernel, gc }
    }
}
