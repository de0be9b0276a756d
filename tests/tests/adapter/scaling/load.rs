//! Load that autoscalers follow.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use observer_tests::cluster::burst;

/// Replicas that each example begins with.
pub(super) const LEAST: u64 = 2;

/// Load of a program that is made by asking it again and again, until dropped.
pub(super) struct Load {
    over: Arc<AtomicBool>,
    asking: Vec<JoinHandle<()>>,
}

impl Load {
    /// Asks each of these pods for `path`, and again once it has answered.
    pub(super) fn on(addresses: &[String], path: &str) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ask = |address: &String| {
            let (over, address, path) = (over.clone(), address.clone(), path.to_owned());
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    // The pod may go, when it is no longer needed.
                    if burst::try_ask(&address, &path).is_err() {
                        thread::sleep(Duration::from_millis(100));
                    }
                }
            })
        };
        let asking = addresses.iter().map(ask).collect();
        Self { over, asking }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for one in self.asking.drain(..) {
            let _ = one.join();
        }
    }
}
