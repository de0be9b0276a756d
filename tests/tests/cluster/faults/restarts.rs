//! The observer ends, one way or another, and what it runs on.

use std::{
    fs,
    time::{Duration, Instant},
};

use observer_tests::{
    cluster::{Cluster, NAMESPACE, Namespace, Observer, SOON, turn, witness::Witness},
    metrics::Exposition,
    wait,
};

use super::{NODE, kill, restarts, tell};

#[test]
fn an_observer_that_is_killed_is_back_with_the_same_figures() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    let namespace = Namespace::create(&cluster, "killed");
    let witness = Witness::start(&namespace, NODE, 101);
    let observer = Observer::on(&cluster, NODE);
    let before = restarts(&cluster, &observer.pod);

    let begin = Instant::now();
    kill(observer.process());
    wait::until("the end of it", SOON, || {
        observer.try_get("/metrics").is_err().then_some(())
    });
    let shown = wait::comes_true(SOON, || match observer.try_get("/metrics") {
        Ok((200, text)) => witness.is_shown(&Exposition::parse(&text)),
        _ => false,
    });
    assert!(
        shown,
        "no figures after a restart: {}",
        observer.log(&cluster)
    );
    let recovery = begin.elapsed();
    // The kubelet tells of it a moment later.
    wait::until("the count of restarts", SOON, || {
        (restarts(&cluster, &observer.pod) == before + 1).then_some(())
    });
    assert!(recovery < Duration::from_secs(40), "{recovery:?}");
    tell(
        "the observer's process is killed (SIGKILL)",
        "no answer; the kubelet starts it again; the same goroutines, live and ever created",
        recovery,
    );
}

#[test]
fn an_observer_whose_pod_is_deleted_is_followed_by_another() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    let namespace = Namespace::create(&cluster, "deleted");
    let witness = Witness::start(&namespace, NODE, 102);
    let before = Observer::on(&cluster, NODE);
    let pid = before.process();

    let begin = Instant::now();
    cluster.kubectl(&["delete", "pod", &before.pod, "--namespace", NAMESPACE]);
    wait::until("the end of its process", SOON, || {
        (!fs::exists(format!("/proc/{pid}")).unwrap_or(true)).then_some(())
    });
    let ended = begin.elapsed();
    witness.await_shown(&cluster, SOON);
    let recovery = begin.elapsed();
    assert_ne!(Observer::on(&cluster, NODE).uid, before.uid);
    assert!(ended < Duration::from_secs(9), "its end took {ended:?}");
    assert!(recovery < Duration::from_secs(40), "{recovery:?}");
    tell(
        "the observer's pod is deleted",
        "it ends within its grace period; another pod shows the same figures",
        recovery,
    );
}

#[test]
fn an_upgrade_goes_from_node_to_node_and_changes_no_figure() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    let namespace = Namespace::create(&cluster, "upgraded");
    let witnesses = ["node-a", "node-b"]
        .map(|node| Witness::start(&namespace, node, if node == NODE { 103 } else { 104 }));
    let before = witnesses
        .each_ref()
        .map(|it| Observer::on(&cluster, &it.node).uid);

    let begin = Instant::now();
    cluster.kubectl(&[
        "rollout",
        "restart",
        "daemonset/observer",
        "--namespace",
        NAMESPACE,
    ]);
    // The observer that shows a node's witness now.
    let shown = |witness: &Witness| {
        let observer = Observer::find(&cluster, &witness.node)?;
        let (200, text) = observer.try_get("/metrics").ok()? else {
            return None;
        };
        witness
            .is_shown(&Exposition::parse(&text))
            .then_some(observer.uid)
    };
    let mut both_missing = 0;
    let done = wait::comes_true(SOON, || {
        let now = witnesses.each_ref().map(shown);
        // The nodes are asked one after the other: the first may be back and the second gone
        // while the first answer travels, so the first is asked again.
        let missing = now.iter().all(Option::is_none) && shown(&witnesses[0]).is_none();
        both_missing += usize::from(missing);
        now.iter()
            .zip(&before)
            .all(|(now, then)| now.as_ref().is_some_and(|now| now != then))
    });
    assert!(done, "not every node has a new observer");
    let recovery = begin.elapsed();
    assert_eq!(
        both_missing, 0,
        "looks at which both nodes were without an observer"
    );
    tell(
        "a rolling update of the DaemonSet",
        "one node after the other is without figures for a moment; no figure changes",
        recovery,
    );
}

#[test]
fn a_restart_of_containerd_goes_unnoticed() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    let namespace = Namespace::create(&cluster, "containerd");
    let witness = Witness::start(&namespace, NODE, 105);
    let observer = Observer::on(&cluster, NODE);
    let before = restarts(&cluster, &observer.pod);

    let begin = Instant::now();
    cluster.xtask(&["stop", "containerd-node-a"]);
    for _ in 0..20 {
        assert!(witness.is_shown(&observer.metrics()), "while it is away");
        std::thread::sleep(Duration::from_millis(100));
    }
    cluster.xtask(&["start", "containerd-node-a"]);
    // What is started by the new one is seen as before.
    let later = Witness::start(&namespace, NODE, 106);
    assert!(witness.is_shown(&observer.metrics()));
    assert!(later.is_shown(&observer.metrics()));
    let recovery = begin.elapsed();
    assert_eq!(restarts(&cluster, &observer.pod), before);
    tell(
        "containerd stopped for two seconds and started",
        "every figure throughout; a pod of the new one as before (its start is in the time)",
        recovery,
    );
}
