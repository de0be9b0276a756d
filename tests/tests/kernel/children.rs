//! Many that live shortly, side by side: each is seen from its start to its end.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use observer_tests::{Observer, Process, observer::ATTACH, paths::GO, short::Family, wait};

#[test]
fn a_thousand_children_of_fifty_milliseconds() {
    let observer = Observer::start();
    let known = Family::standing();
    observer.attached(known.pid());

    let mut parent = Family::of(1000, 8, ["20", "50ms"]);
    let end = Instant::now() + Duration::from_secs(120);
    // Ended processes stay listed for a while: what is read last of each counts.
    let mut seen: BTreeMap<u32, Process> = BTreeMap::new();
    let collect = |seen: &mut BTreeMap<u32, Process>| {
        let name = format!("short-{GO}-default");
        let all = observer.processes().into_iter();
        seen.extend(
            all.filter(|p| p.process == name && p.pid != known.pid())
                .map(|p| (p.pid, p)),
        );
    };
    while !parent.has_ended() {
        assert!(Instant::now() < end, "the children take too long");
        collect(&mut seen);
        thread::sleep(Duration::from_secs(1));
    }
    observer.settle();
    wait::comes_true(ATTACH, || {
        collect(&mut seen);
        seen.len() >= 1000 && seen.values().all(|p| p.ended)
    });
    let truth = parent.truth();
    drop(known);

    assert_eq!(truth.children, 1000);
    assert_eq!(seen.len(), 1000, "children seen");
    let ended = seen
        .values()
        .filter(|p| p.ended && p.figures.from_start)
        .count();
    assert_eq!(ended, 1000, "children seen from their start to their end");
    let sum = |f: fn(&Process) -> u64| seen.values().map(f).sum::<u64>();
    assert_eq!(
        (sum(|p| p.figures.created), sum(|p| p.figures.exited)),
        (truth.created, truth.exited),
        "created and exited, all children"
    );
}
