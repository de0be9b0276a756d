//! What figures of the observer itself are made of.

use super::own_process::OwnProcess;
use crate::node::Snapshot;

/// What they are made of.
pub(super) struct NodeFigures<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) own: &'a OwnProcess,
    /// What there is no room for.
    pub(super) left_out: LeftOutSeries,
}

/// What an exposition has no room for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LeftOutSeries {
    /// Processes.
    pub(super) processes: u64,
    /// Series of theirs, as far as they were made.
    pub(super) series: u64,
}
