//! Processes that began before the probes on each goroutine were back.

use std::{thread, time::Instant};

use observer_go::binary::{FigureGroup, Reason};

use super::{
    super::fake::{Call, Stage, State},
    detach::sampled,
};

/// Lets the engine read those that it has heard of, each when it is due.
fn read_newcomers(stage: &mut Stage) {
    while let Some(due) = stage.engine().newcomers.due() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        stage.hear();
    }
}

/// Setting the probes takes so long that others begin meanwhile. They are told of only
/// once the first of them has been read.
#[test]
fn each_is_read_however_late_it_is_told_of() {
    let mut stage = Stage::new();
    let program = sampled(&mut stage, false);
    let told_late = {
        let mut world = stage.world();
        for pid in [8, 9] {
            world.start(pid, &program);
            world.creates(pid, 4);
        }
        world.maps.get_mut().events.pop_back()
    };
    stage.hear();
    read_newcomers(&mut stage);
    stage.world().maps.get_mut().events.extend(told_late);
    stage.hear();
    read_newcomers(&mut stage);
    for pid in [8, 9] {
        let mut world = stage.world();
        world.creates(pid, 3);
        world.exit(pid);
    }
    stage.hear();
    let shown = stage.sample();
    for pid in [8, 9] {
        assert_eq!(shown.lives(pid), [("/a".to_owned(), Some(7), true)]);
    }
}

/// It may be in what was read, or not.
#[test]
fn a_sample_that_something_was_counted_in_is_no_beginning() {
    let mut stage = Stage::new();
    let program = sampled(&mut stage, false);
    stage.world().start(8, &program);
    stage.world().creates(8, 4);
    stage.hear();
    stage
        .world()
        .meanwhile(Call::Sample, 8, |world| world.creates(8, 3));
    read_newcomers(&mut stage);
    stage.world().creates(8, 2);
    stage.world().exit(8);
    stage.hear();
    let shown = stage.sample();
    assert_eq!(shown.lives(8), [("/a".to_owned(), Some(9), true)]);
}

/// A sample that is not used makes no figure known, whatever becomes of the probes.
#[test]
fn who_ends_after_such_a_sample_has_no_totals() {
    let mut stage = Stage::new();
    let program = sampled(&mut stage, false);
    stage.world().start(8, &program);
    stage.world().creates(8, 4);
    stage.hear();
    let target = stage.engine().processes.get(8).map(|it| it.target);
    let creates = |world: &mut State| world.creates(8, 3);
    stage.world().meanwhile(Call::Sample, 8, creates);
    // It is read once, and no more.
    let engine = stage.engine.take().expect("it is here");
    let (engine, begun) = engine.begin(8).expect("nobody else goes on");
    assert!(!begun);
    stage.engine = Some(engine);
    stage.engine().cover(target.expect("it is observed"), true);
    stage.world().exit(8);
    stage.hear();
    let shown = stage.sample();
    assert_eq!(shown.lives(8), [("/a".to_owned(), None, true)]);
}

/// What came before its probes nobody knows any more.
#[test]
fn of_who_ends_before_it_is_read_no_totals_are_shown() {
    let mut stage = Stage::new();
    let program = sampled(&mut stage, false);
    stage.world().start(8, &program);
    stage.world().creates(8, 4);
    stage.hear();
    stage.world().creates(8, 3);
    stage.world().ends(8, 1);
    stage.world().exit(8);
    stage.hear();
    let shown = stage.sample();
    assert_eq!(shown.lives(8), [("/a".to_owned(), None, true)]);
    let mut all = shown.0.processes.iter();
    let ended = all.find(|it| it.process.pid == 8).expect("it is shown");
    assert_eq!(ended.exited(), None);
    for figure in [
        FigureGroup::GoroutinesCreated,
        FigureGroup::GoroutinesExited,
    ] {
        let missing = ended.coverage.0[&figure].as_ref();
        let reason = missing.map(|it| it.reason);
        assert_eq!(reason, Some(Reason::StartedBefore), "{figure:?}");
    }
    // The next of the file are counted, each from its start.
    stage.world().start(9, &program);
    stage.hear();
    stage.world().creates(9, 5);
    stage.world().exit(9);
    stage.hear();
    let shown = stage.sample();
    assert_eq!(shown.lives(9), [("/a".to_owned(), Some(5), true)]);
}

/// Nothing else will ever tell.
#[test]
fn where_there_is_no_state_they_are_counted_from_where_their_probes_stood() {
    let mut stage = Stage::new();
    let program = stage.program("/b");
    stage.world().start(8, &program);
    stage.world().creates(8, 4);
    stage.hear();
    stage.world().creates(8, 3);
    assert_eq!(stage.sample().running(8).created(), Some(3));
}
