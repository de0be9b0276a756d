//! A node that is itself a container, as kind makes them: `hostPID` gives its
//! observer the node's pid namespace, which is not the machine's, and its pods are
//! in namespaces below that.

use std::fs;

use observer_tests::cluster::{Cluster, Namespace, Observer, SOON, turn, witness::Witness};

#[test]
fn a_node_that_is_a_container_counts_its_own_programs_by_its_own_ids() {
    let _turn = turn::beside();
    let cluster = Cluster::get();
    let namespace = Namespace::create(&cluster, "container-node");
    let nodes = ["node-a", "node-b"];
    let pid_namespace = |pid: &str| {
        fs::read_link(format!("/proc/{pid}/ns/pid")).expect("the link of a pid namespace")
    };
    let observers = nodes.map(|node| Observer::on(&cluster, node));
    let [_, inner] = observers.each_ref().map(Observer::process);
    assert_ne!(pid_namespace(&inner.to_string()), pid_namespace("self"));
    let log = observers[1].log(&cluster);
    assert!(
        log.contains("programs outside it are not observed"),
        "{log}"
    );

    // Of one file, and one of them outside.
    let witnesses = [("node-a", 310), ("node-b", 320)]
        .map(|(node, leaked)| Witness::start(&namespace, node, leaked));
    for witness in &witnesses {
        witness.await_shown(&cluster, SOON);
    }
    let [outside, inside] = &witnesses;
    let listed =
        |observer: &Observer, pod: &str| observer.processes(&namespace.name, pod, "witness");
    assert!(listed(&observers[1], &outside.pod).is_empty());
    let [process] = &listed(&observers[1], &inside.pod)[..] else {
        panic!("not one process of {}", inside.pod);
    };
    // It has the id by which the node's own /proc shows it, and one of its own below.
    let shown = format!("/proc/{inner}/root/proc/{}", process["pid"]);
    let status = fs::read_to_string(format!("{shown}/status")).expect("its status");
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let numbers: Vec<_> = numbers.expect("its numbers").split_whitespace().collect();
    assert_eq!(numbers.len(), 2, "{status}");
    let uid = namespace.ready(&inside.pod)["metadata"]["uid"].clone();
    let cgroup = fs::read_to_string(format!("{shown}/cgroup")).expect("its cgroup");
    assert!(cgroup.contains(uid.as_str().expect("a UID")), "{cgroup}");
}
