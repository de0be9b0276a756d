//! What may go wrong with a node, and what is seen of it: nothing crashes,
//! nothing wrong is shown, and all is well again soon. Each test tells what was
//! seen as a row of a table.

mod certificates;
mod memory;
mod restarts;
mod server;

use std::time::Duration;

use observer_tests::cluster::{Cluster, NAMESPACE, say};
use rustix::process::{Pid, Signal, kill_process};

/// The node whose parts go wrong.
const NODE: &str = "node-a";

/// A row: the fault, what was seen, and how long until all was well again.
fn tell(fault: &str, seen: &str, recovery: Duration) {
    say(&format!(
        "| {fault} | {seen} | {:.1} s |",
        recovery.as_secs_f64()
    ));
}

fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process id"), Signal::KILL).expect("to kill it");
}

/// How often the containers of an observer's pod were started again.
fn restarts(cluster: &Cluster, pod: &str) -> u64 {
    let pod = cluster.get_object(&["pod", pod, "--namespace", NAMESPACE]);
    let status = &pod["status"]["containerStatuses"][0];
    status["restartCount"].as_u64().unwrap_or_default()
}
