//! Taking every probe away at the end, without delaying it.

use std::thread;

use aya::programs::uprobe::UProbeLink;

use super::LinkMode;

/// How many threads close `uprobe_multi` links.
const CLOSERS: usize = 64;

/// Closes all links.
pub(super) fn close(links: Vec<UProbeLink>, mode: LinkMode) {
    match mode {
        LinkMode::UprobeMulti => close_together(links),
        // Perf-event links are closed one after another, whoever does it: the
        // kernel waits at each and holds a lock meanwhile. They go with the
        // process, and the rest of the shutdown need not wait for them.
        LinkMode::PerfEvent => std::mem::forget(links),
    }
}

/// The kernel waits for running programs at each link; many threads wait for
/// one and the same grace period.
fn close_together(mut links: Vec<UProbeLink>) {
    let share = links.len().div_ceil(CLOSERS).max(1);
    thread::scope(|scope| {
        while links.len() > share {
            let some = links.split_off(links.len() - share);
            // Where there is no thread to be had, the closure is dropped here, links and all.
            let _ = thread::Builder::new()
                .stack_size(64 << 10)
                .spawn_scoped(scope, move || drop(some));
        }
        drop(links);
    });
}
