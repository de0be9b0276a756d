//! Tells the engine which processes may be observed, before it touches them.
//! This is the only word that goes against the stream.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use observer_go::discover::Membership;
use rustix::event::{EventfdFlags, eventfd};

use super::watch::PodIndexes;
use crate::{
    liveness::{Liveness, Pulse},
    node::{Admission, OptOut},
};

/// What this node's pods want, as last told.
pub struct PodOptOut {
    pods: PodIndexes,
    host_processes: bool,
    changed: Arc<OwnedFd>,
}

impl PodOptOut {
    /// By what a watch tells. To be called within a tokio runtime.
    pub fn new(pods: PodIndexes, host_processes: bool, liveness: &Liveness) -> io::Result<Self> {
        let changed = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let pulse = liveness.part("pod wishes");
        tokio::spawn(tell(pods.clone(), Arc::clone(&changed), pulse));
        Ok(Self {
            pods,
            host_processes,
            changed,
        })
    }
}

/// Wakes the engine when a verdict may be another. A pod's status changes far
/// more often than that.
async fn tell(mut pods: PodIndexes, changed: Arc<OwnedFd>, _pulse: Pulse) {
    let mut told = Arc::clone(&pods.borrow_and_update());
    // What it knows may be older than the first index seen here.
    let mut anew = true;
    loop {
        if anew {
            // Full only after as many changes as there are numbers.
            let _ = rustix::io::write(&*changed, &1u64.to_ne_bytes());
        }
        if pods.changed().await.is_err() {
            return;
        }
        let now = Arc::clone(&pods.borrow_and_update());
        anew = !now.decides_as(&told);
        told = now;
    }
}

impl OptOut for PodOptOut {
    fn verdict(&self, place: &Membership) -> Admission {
        self.pods.borrow().verdict(place, self.host_processes)
    }

    fn are_known(&self) -> bool {
        self.pods.borrow().watch.listed
    }

    fn changed(&self) -> BorrowedFd<'_> {
        self.changed.as_fd()
    }

    fn take_changed(&self) -> bool {
        let mut count = [0; 8];
        rustix::io::read(&*self.changed, &mut count).is_ok()
    }
}
