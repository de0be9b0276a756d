//! What is under way, and when what is to be done next.

use std::time::Instant;

/// When what is to be done next.
pub(super) struct Schedule {
    pub(super) began: Instant,
    pub(super) next_sample: Instant,
    pub(super) next_sweep: Instant,
    pub(super) next_account: Instant,
    /// Nothing has been published yet.
    pub(super) first: bool,
}

/// One sample of every process.
#[derive(Default)]
pub(super) struct Round {
    pub(super) left: Vec<u32>,
    /// Those that run another program, where nobody else tells of an exec.
    pub(super) replaced: Vec<u32>,
}
