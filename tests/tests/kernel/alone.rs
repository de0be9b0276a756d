//! What looks at the whole node: no other program may come or go meanwhile.

use std::time::Duration;

use observer_tests::{Observer, Process, metrics, observer::ATTACH, short::Family, wait};

#[test]
fn ten_thousand_processes_leave_the_maps_as_they_were() {
    let observer = Observer::start();
    // Both files have a process throughout: the probes on a file stay for a minute after the end
    // of its last one.
    let known = Family::of(1, 1, ["1", "1h"]);
    let exited = || observer.attached(known.pid()).figures.exited;
    let exited_before = exited();
    let entries = || {
        let samples = observer.metrics();
        let maps: Vec<_> = samples
            .iter()
            .filter(|s| s.name == "observer_map_entries")
            .cloned()
            .collect();
        assert!(!maps.is_empty(), "observer_map_entries is not exported");
        maps
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
    let counted = || metrics::sum(&entries(), "observer_map_entries", &["map=\"PROCESSES\""]);
    let seen = wait::comes_true(Duration::from_secs(30), || counted() >= Some(living as f64));
    assert!(seen, "{living} live: {:?}", entries());
    let before = entries();
    let mut parent = Family::of(10_000, 8, ["1", "0s"]);
    wait::until("ten thousand children", Duration::from_secs(400), || {
        parent.has_ended().then_some(())
    });
    let back = wait::comes_true(Duration::from_secs(60), || {
        entries().iter().all(|now| {
            let was = metrics::sum(&before, &now.name, &[&now.labels]).unwrap_or(0.0);
            now.value <= was
        })
    });
    assert!(back, "before {before:?}, after {:?}", entries());
    // What ended in others is not counted here; a goroutine of its own start may end late.
    assert!(exited() <= exited_before + 1);
}
