//! The end of the observer: every probe goes, and no lease before its file is free.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{Probes, pending_leases::PATIENCE, shutdown, signals::signals};

/// How often the end of the observer asks whether all are through.
const PACE: Duration = Duration::from_millis(20);

impl Drop for Probes {
    fn drop(&mut self) {
        if let Some(log) = &mut self.log {
            log();
        }
        // The end may take a while, too.
        self.renew();
        let links = self.reaper.end();
        shutdown::close(links, || self.renew());
        let hurry = self.close_all();
        self.settle(hurry);
    }
}

impl Probes {
    /// At the end: stays until no lease waits, or until it is asked to end once more.
    ///
    /// The process itself stays, and no child in its place: a container's runtime, and
    /// systemd likewise, kills the children as soon as the process has ended, and gives
    /// the process itself the grace period.
    fn settle(&mut self, hurry: Option<Arc<AtomicBool>>) {
        let Some(pending_leases) = self.pending_leases.clone() else {
            return;
        };
        let files = pending_leases.left();
        if files == 0 {
            return;
        }
        let began = Instant::now();
        let hurry = hurry.unwrap_or_else(signals);
        tracing::info!(
            files,
            longest = ?PATIENCE,
            "staying until the kernel has taken the probes out of these files, so that nobody \
             writes to them before; another SIGINT or SIGTERM ends at once"
        );
        loop {
            let left = pending_leases.left();
            let took = began.elapsed();
            if left == 0 {
                tracing::info!(files, ?took, "no probe is left in any file");
                return;
            }
            if hurry.load(Ordering::Relaxed) || took > PATIENCE {
                tracing::error!(
                    files = left,
                    ?took,
                    "ending although probes may stand in these files: a program that is written \
                     over one of them before they are gone will crash"
                );
                return;
            }
            pending_leases.go_on();
            thread::sleep(PACE);
            self.renew();
        }
    }
}
