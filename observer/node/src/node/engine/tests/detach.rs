//! Probes that are taken away slowly, and wanted back meanwhile.

use observer_ebpf::ProbeGroup;
use observer_go::binary::{FigureGroup, Reason};

use super::super::fake::{Program, Stage};

/// A program whose probes on each goroutine have left, since its state tells as much.
/// With `slow` they stand still.
pub(super) fn sampled(stage: &mut Stage, slow: bool) -> Program {
    let program = stage.program_with_state("/a");
    for pid in [1, 7] {
        stage.world().start(pid, &program);
        stage.hear();
    }
    stage.world().links.slow = slow;
    stage.world().creates(7, 3);
    assert!(stage.sample().running(7).figures.events.from_start);
    for _ in 0..3 {
        stage.sample();
    }
    let shown = stage.sample();
    assert!(!shown.running(7).probes.has(ProbeGroup::EXACT));
    assert!(shown.running(7).probes.has(ProbeGroup::BATCH));
    program
}

#[test]
fn probes_that_are_wanted_back_while_they_leave_count_once() {
    let mut stage = Stage::new();
    let program = sampled(&mut stage, true);
    // The thread that takes them away is busy with others.
    stage.world().creates(7, 4);
    stage.world().start(8, &program);
    stage.hear();
    {
        let mut world = stage.world();
        world.creates(7, 2);
        world.creates(8, 5);
        world.ends(8, 1);
    }
    let shown = stage.sample();
    assert!(shown.running(7).probes.has(ProbeGroup::EXACT));
    for (pid, created, exited) in [(7, 9, 0), (8, 5, 1)] {
        let counted = shown.running(pid).figures.events.goroutines;
        assert_eq!(
            (counted.created, counted.exited),
            (created, exited),
            "{pid}"
        );
        assert_eq!(shown.running(pid).created(), Some(created), "{pid}");
    }
    // The thread goes on: what was wanted back stays.
    {
        let mut world = stage.world();
        world.links.slow = false;
        world.links.reap();
        world.creates(8, 1);
    }
    let counted = stage.sample().running(8).figures.events.goroutines;
    assert_eq!(counted.created, 6);
}

#[test]
fn what_was_not_counted_while_they_were_gone_is_not_made_up() {
    let mut stage = Stage::new();
    let program = sampled(&mut stage, false);
    stage.world().creates(7, 4);
    stage.world().start(8, &program);
    stage.hear();
    stage.world().creates(7, 2);
    let shown = stage.sample();
    let running = shown.running(7);
    assert_eq!(running.figures.events.goroutines.created, 5);
    assert!(!running.figures.events.from_start);
    assert_eq!(running.figures.differences.created, None);
    // What its memory tells is whole.
    assert_eq!(running.created(), Some(9));
}

/// The file's probes give way to a writer, and it is run again before they are gone.
#[test]
fn a_file_that_is_attached_again_before_its_probes_are_gone_counts_once() {
    let mut stage = Stage::new();
    let program = stage.probed("/a", 1);
    stage.world().links.slow = true;
    stage.world().wanted.push(1);
    stage.hear();
    stage.knows(&program);
    stage.world().start(7, &program);
    stage.hear();
    {
        let mut world = stage.world();
        world.creates(1, 2);
        world.creates(7, 3);
    }
    stage.hear();
    let shown = stage.sample();
    assert_eq!(shown.running(7).created(), Some(3));
    assert!(
        shown.0.health.kernel.alias_hits > 0,
        "two probes stood on one site"
    );
    // Of those that ran before, nothing is said: their probes are going.
    let before = shown.running(1);
    assert_eq!(before.created(), None);
    let missing = before.coverage.0[&FigureGroup::GoroutinesCreated].as_ref();
    assert_eq!(missing.map(|it| it.reason), Some(Reason::FileWritten));
}
