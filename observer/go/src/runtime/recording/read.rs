//! What was read of a place.

use std::{collections::HashMap, sync::Arc};

/// A place and what was there. A place that was read twice and had not changed has its
/// bytes once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runtime) struct Read {
    pub(in crate::runtime) address: u64,
    pub(in crate::runtime) bytes: Arc<[u8]>,
}

/// The reads whose bytes stand in the file.
pub(super) fn kept(reads: &[Read]) -> impl Iterator<Item = &Read> {
    let mut known: HashMap<(u64, usize), &Arc<[u8]>> = HashMap::new();
    reads.iter().filter(move |read| {
        let before = known.insert((read.address, read.bytes.len()), &read.bytes);
        before.is_none_or(|before| *before != read.bytes)
    })
}
