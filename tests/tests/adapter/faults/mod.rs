//! What may go wrong around an autoscaler, and what it makes of it: nothing.
//! Each fault is a row of a table.

mod probe;

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use observer_tests::{
    cluster::{
        Adapter, Cluster, NAMESPACE, NODES, Observer,
        adapter::Replica,
        autoscaler::{Replicas, SYNC, Scaled},
        burst, now,
        observers::process_of,
        say, turn,
    },
    wait,
};
use rustix::process::{Pid, Signal, kill_process};

use self::probe::{Seen, Source, Values};

/// Replicas that the load asks for throughout.
const REPLICAS: usize = 4;
/// Of two pods each, so that four have a hundred each.
const LEAK: &str = "/leak?n=185";
const WITHIN: Duration = Duration::from_secs(120);
/// For the table of docs/overhead.md: how often each fault is made; it has the median.
const TIMES: &str = "OBSERVER_TEST_FAULTS";
/// Kinds of pods that are killed.
const OBSERVERS: &str = "daemonset/observer";
const ADAPTERS: &str = "deployment/observer-adapter";

/// A Deployment that has the replicas it needs, and is watched.
struct Calm {
    adapter: Adapter,
    /// Kept until the end.
    _scaled: Scaled,
    source: Source,
    replicas: Replicas,
    right: Values,
    pods: Vec<String>,
}

impl Calm {
    fn new(cluster: &Cluster) -> Self {
        let adapter = Adapter::get(cluster);
        let scaled = Scaled::example(&adapter, "hpa-pods", |_| ());
        // Not for the fallback: CPU figures come half a minute later.
        scaled.await_first();
        let pods = scaled.await_ready(2);
        for pod in &pods {
            burst::ask(pod, LEAK);
        }
        scaled.await_ready(REPLICAS);
        let source = Source::of(&adapter, &scaled);
        let right = wait::until("values of all pods", WITHIN, || {
            let values = source.values()?;
            (values.len() == REPLICAS).then_some(values)
        });
        // What a replica that was not asked lately may still serve is from
        // after the load then, whatever it has.
        thread::sleep(probe::OLDEST);
        let replicas = scaled.watch();
        Self {
            adapter,
            _scaled: scaled,
            source,
            replicas,
            right,
            pods,
        }
    }

    /// Does something and notes what comes of it until every pod has a value
    /// that was observed afterwards: within the second, which is all that
    /// timestamps tell.
    fn during<T>(&self, fault: impl FnOnce() -> T) -> (T, Seen, Duration) {
        let probe = self.source.probe(&self.right);
        let done = fault();
        let (over, at) = (Instant::now(), now());
        wait::until("new values of all pods", WITHIN, || {
            let values = self.source.values()?;
            let new = values.values().all(|(_, stamp)| *stamp as f64 >= at);
            (new && values.len() == REPLICAS).then_some(())
        });
        let recovery = over.elapsed();
        let numbers = self.replicas.numbers();
        assert_eq!(numbers, [REPLICAS as u64], "replicas moved");
        (done, probe.end(), recovery)
    }

    /// Does it as often as is asked for, each time on what `fresh` leaves.
    fn row(&self, fault: &str, fresh: impl Fn(usize), act: impl Fn(usize)) {
        let mut seen = Vec::new();
        let mut recoveries = Vec::new();
        for n in 0..times() {
            fresh(n);
            let ((), one, recovery) = self.during(|| act(n));
            seen.push(one);
            recoveries.push(recovery);
        }
        recoveries.sort();
        tell(fault, &seen, recoveries[recoveries.len() / 2]);
    }
}

/// How often each fault is made: once, or as [`TIMES`] says.
fn times() -> usize {
    let times = std::env::var(TIMES).ok();
    times.map_or(1, |text| text.parse().expect("a number of times"))
}

/// A row: the fault, what was seen, and how long until all was well again.
fn tell(fault: &str, seen: &[Seen], recovery: Duration) {
    let sum = |of: fn(&Seen) -> u32| seen.iter().map(of).sum::<u32>();
    let gap = seen.iter().map(|one| one.gap).max().unwrap_or_default();
    say(&format!(
        "| {fault} | {} answers whole, {} in part, {} none; longest without a whole one {:.1} s; {REPLICAS} replicas throughout | {:.1} s |",
        sum(|one| one.whole),
        sum(|one| one.partial),
        sum(|one| one.none),
        gap.as_secs_f64(),
        recovery.as_secs_f64()
    ));
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process id"), signal).expect("to signal it");
}

fn component(cluster: &Cluster, name: &str) -> u32 {
    let key = format!("PID_{}", name.to_uppercase().replace('-', "_"));
    let pid = cluster.env(&key).expect("a component that runs");
    pid.parse().expect("a process id")
}

fn kill_observer(cluster: &Cluster, node: &str) {
    signal(Observer::on(cluster, node).process(), Signal::KILL);
}

#[test]
fn replicas_stay_while_parts_fail() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    let calm = Calm::new(&cluster);
    observers(&cluster, &calm);
    adapters(&cluster, &calm);
    control_plane(&cluster, &calm);
    calm.row("the network to one node is cut for 8 s", nothing, |_| {
        let _cut = Cut::make();
        thread::sleep(Duration::from_secs(8));
    });
    autoscaler(&cluster, &calm);
}

fn nothing(_: usize) {}

// A container that ended lately is not started at once another time, so that
// each kill has new pods.

fn observers(cluster: &Cluster, calm: &Calm) {
    let again = |n| {
        if n > 0 {
            restart(cluster, OBSERVERS);
        }
    };
    calm.row("all observers are killed", again, |_| {
        for node in NODES {
            kill_observer(cluster, node);
        }
    });
    let fresh = |_| restart(cluster, OBSERVERS);
    calm.row("an observer is killed", fresh, |n| {
        kill_observer(cluster, NODES[n % NODES.len()]);
    });
}

fn adapters(cluster: &Cluster, calm: &Calm) {
    let kill = |replica: &Replica| {
        let pid = process_of(&replica.uid);
        signal(pid.expect("its process"), Signal::KILL);
    };
    let again = |n| {
        if n > 0 {
            restart(cluster, ADAPTERS);
        }
    };
    calm.row("both replicas of the adapter are killed", again, |_| {
        calm.adapter.replicas().iter().for_each(kill);
    });
    calm.row("a rolling update of the adapter", nothing, |_| {
        restart(cluster, ADAPTERS);
    });
    calm.row("one replica of the adapter is killed", again, |n| {
        let replicas = calm.adapter.replicas();
        kill(&replicas[n % replicas.len()]);
    });
}

fn control_plane(cluster: &Cluster, calm: &Calm) {
    calm.row("the API server is restarted", nothing, |_| {
        cluster.xtask(&["stop", "kube-apiserver"]);
        cluster.xtask(&["start", "kube-apiserver"]);
    });
    calm.row("etcd hangs for 5 s", nothing, |_| {
        let etcd = component(cluster, "etcd");
        signal(etcd, Signal::STOP);
        thread::sleep(Duration::from_secs(5));
        signal(etcd, Signal::CONT);
    });
    let start = |_| {
        cluster.xtask(&["start", "prometheus"]);
    };
    calm.row("Prometheus is away", start, |_| {
        cluster.xtask(&["stop", "prometheus"]);
        // The autoscaler looks once at least.
        thread::sleep(SYNC);
    });
    start(0);
}

/// Replicas follow the load again once their controller is back.
fn autoscaler(cluster: &Cluster, calm: &Calm) {
    let name = "kube-controller-manager";
    let ((), seen, _) = calm.during(|| signal(component(cluster, name), Signal::KILL));
    for pod in &calm.pods {
        burst::ask(pod, "/leak?n=100");
    }
    thread::sleep(SYNC);
    assert_eq!(calm.replicas.numbers(), [REPLICAS as u64]);
    cluster.xtask(&["start", name]);
    let back = Instant::now();
    let more = calm.replicas.await_at_least(REPLICAS as u64 + 1, WITHIN);
    tell(
        "the autoscaler's controller is killed; load rises meanwhile",
        &[seen],
        more - back,
    );
}

/// Has all pods of a kind replaced, one after the other.
fn restart(cluster: &Cluster, what: &str) {
    let place = ["--namespace", NAMESPACE];
    cluster.kubectl(&[&["rollout", "restart", what], place.as_slice()].concat());
    let args = ["rollout", "status", what, "--timeout=120s"];
    cluster.kubectl(&[&args, place.as_slice()].concat());
}

/// Nothing that node-b sends arrives, until dropped.
struct Cut;

impl Cut {
    const CHAINS: [&str; 2] = ["INPUT", "FORWARD"];

    fn make() -> Self {
        for chain in Self::CHAINS {
            Self::change("-I", chain);
        }
        Self
    }

    fn change(action: &str, chain: &str) {
        let mut command = Command::new("iptables");
        command.args(["-w", action, chain, "-i", "observer-a", "-j", "DROP"]);
        let done = command.status().is_ok_and(|status| status.success());
        assert!(done, "{command:?}");
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        for chain in Self::CHAINS {
            Self::change("-D", chain);
        }
    }
}
