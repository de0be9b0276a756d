//! What looks at the whole node: no other program may come or go meanwhile.

use std::time::Duration;

use observer_tests::{Observer, Process, observer::ATTACH, short::Family, wait};

#[test]
fn ten_thousand_processes_leave_the_maps_as_they_were() {
    let observer = Observer::start();
    // Both files have a process throughout: the probes on a file stay for a minute after the end
    // of its last one.
    let known = Family::of(1, 1, ["1", "1h"]);
    let exited = || observer.attached(known.pid()).figures.exited;
    let exited_before = exited();
    let entries = || {
        let mut metrics = observer.metrics();
        let maps = metrics.series.remove("observer_map_entries");
        maps.expect("observer_map_entries is not exported")
    };
    // Entries are counted every few seconds: all that there are now, whoever else's.
    wait::until("the child", ATTACH, || {
        let all = observer.processes().into_iter();
        let mut all = all.filter(|it| it.process.starts_with("short-") && !it.ended);
        all.find(Process::attached)
    });
    let living = observer.processes();
    let living = living.iter().filter(|it| !it.ended && it.attached());
    let living = living.count();
    let counted = || {
        let all = entries().into_iter();
        let mut all = all.filter(|it| it.label("map") == "PROCESSES");
        all.next().map(|it| it.value)
    };
    let seen = wait::comes_true(Duration::from_secs(30), || counted() >= Some(living as f64));
    assert!(seen, "{living} live: {:?}", entries());
    let before = entries();
    let mut parent = Family::of(10_000, 8, ["1", "0s"]);
    wait::until("ten thousand children", Duration::from_secs(400), || {
        parent.has_ended().then_some(())
    });
    let back = wait::comes_true(Duration::from_secs(60), || {
        entries().iter().all(|now| {
            let was = before.iter().find(|was| was.labels == now.labels);
            now.value <= was.map_or(0.0, |was| was.value)
        })
    });
    assert!(back, "before {before:?}, after {:?}", entries());
    // What ended in others is not counted here; a goroutine of its own start may end late.
    assert!(exited() <= exited_before + 1);
}
