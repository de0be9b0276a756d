//! The cluster's own autoscaler on the examples of deploy/, each as it is but
//! for its namespace and its seconds: windows and periods of minutes are
//! divided by 20, since the policies, not the waiting, are what is tested.

mod boards;
mod examples;
mod flapping;

use std::{
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use observer_tests::cluster::{
    Adapter, Cluster,
    autoscaler::{Change, SYNC, Scaled},
    burst, say, turn,
};

/// While replicas come and go the boards have something to show.
#[test]
fn replicas_follow_load_by_policy_and_the_boards_show_it() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let adapter = Adapter::get(&cluster);
    let stage = boards::Stage::set(&cluster);
    let ran = examples::run(&adapter);
    stage.check(&cluster, &ran[0].namespace.name, "burst");
}

#[test]
fn load_that_comes_and_goes_does_not_flap() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    flapping::run(&Adapter::get(&cluster));
}

/// Replicas that each example begins with.
const LEAST: u64 = 2;

/// Load of a program that is made by asking it again and again, until dropped.
struct Load {
    over: std::sync::Arc<std::sync::atomic::AtomicBool>,
    asking: Vec<JoinHandle<()>>,
}

impl Load {
    /// Asks each of these pods for `path`, and again once it has answered.
    fn on(addresses: &[String], path: &str) -> Self {
        let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let ask = |address: &String| {
            let (over, address, path) = (over.clone(), address.clone(), path.to_owned());
            thread::spawn(move || {
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
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
        self.over.store(true, std::sync::atomic::Ordering::Relaxed);
        for one in self.asking.drain(..) {
            let _ = one.join();
        }
    }
}
