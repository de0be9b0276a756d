//! How two readings of a family's figures add up.

/// What probes counted of one process.
pub trait ProcessCounts {
    /// Adds what was counted on another CPU, or of another process.
    fn add(&mut self, more: &Self);

    /// Probe hits in all.
    fn hits(&self) -> u64;
}

/// A counter and more of it.
pub(crate) fn plus(into: &mut u64, more: u64) {
    *into = into.saturating_add(more);
}
