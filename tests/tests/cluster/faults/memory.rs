//! A pod is killed for its memory while it is read.

use std::time::{Duration, Instant};

use observer_tests::{
    cluster::{
        Cluster, Namespace, Observer, SOON, burst,
        namespace::{self, pod},
        turn,
        witness::{Witness, address},
    },
    wait,
};
use serde_json::json;

use super::{NODE, restarts, tell};

const POD: &str = "hungry";

#[test]
fn a_program_killed_for_its_memory_starts_anew() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    let namespace = Namespace::create(&cluster, "memory");
    let witness = Witness::start(&namespace, NODE, 108);
    let mut container = namespace::burst(POD, burst::NEWEST);
    container["resources"] = json!({ "limits": { "memory": "40Mi" } });
    if let Some(object) = container.as_object_mut() {
        object.remove("readinessProbe");
    }
    namespace.apply(pod(POD, Some(NODE), &[container]));
    let address = address(&namespace, POD);
    let observer = Observer::on(&cluster, NODE);
    let before = restarts(&cluster, &observer.pod);
    burst::ask(&address, "/leak?n=1000");
    let of = [("namespace", namespace.name.as_str()), ("pod", POD)];
    let goroutines = || observer.metrics().value("go_goroutines", &of);
    wait::until("the leak", SOON, || goroutines().filter(|it| *it >= 1000.0));

    let begin = Instant::now();
    // Stacks that stay, until the kernel ends it.
    let leaking = std::thread::spawn(
        move || {
            while burst::try_ask(&address, "/leak?n=2000").is_ok() {}
        },
    );
    let mut most = 0.0_f64;
    // The program that runs then has none of the leaked.
    let created = wait::until("the program that starts in its place", SOON, || {
        let metrics = observer.metrics();
        assert!(witness.is_shown(&metrics), "its neighbour");
        let goroutines = metrics.value("go_goroutines", &of)?;
        most = most.max(goroutines);
        assert!(
            goroutines < 100.0 || goroutines >= 1000.0,
            "{goroutines} goroutines: of both runs?"
        );
        let created = "go_sched_goroutines_created_goroutines_total";
        (goroutines < 100.0).then(|| metrics.value(created, &of))
    });
    let recovery = begin.elapsed();
    leaking.join().expect("the requests");
    assert!(
        created.is_some_and(|it| it < 200.0),
        "{created:?} created, by both runs?"
    );
    let status = namespace.find("pod", POD).expect("the pod");
    let last = &status["status"]["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!(last["reason"], "OOMKilled", "{status}");
    assert!(recovery < Duration::from_secs(50), "{recovery:?}");
    assert_eq!(restarts(&cluster, &observer.pod), before);
    tell(
        "a pod is killed for its memory while it is read",
        &format!(
            "up to {most} goroutines; then the figures of the program that starts in its place, \
             never a sum of both; neighbours unchanged"
        ),
        recovery,
    );
}
