//! Threads that end before their time: vitals tell of it, and nothing that is published
//! is made up.

use std::{sync::Arc, thread, time::Instant};

use observer_go::binary::{FigureGroup, Reason};

use super::super::fake::Stage;

#[test]
fn without_the_thread_that_takes_probes_away_the_engine_ends_and_says_so() {
    let mut stage = Stage::new();
    let program = stage.probed("/a", 1);
    stage.world().start(7, &program);
    stage.hear();
    stage.sample();
    stage.snapshots.borrow_and_update();
    stage.world().creates(7, 3);
    stage.world().has_lost_a_thread = true;
    assert!(stage.liveness.report().is_ok());
    let mut engine = stage.engine.take().expect("it is here");
    engine.schedule.next_sweep = Instant::now();
    assert!(engine.turn().is_none(), "it goes on");
    assert_eq!(stage.liveness.ended(), Some("engine"));
    let report = stage.liveness.report().expect_err("a part has ended");
    assert!(report.contains("engine: HAS ENDED"), "{report}");
    // Nobody will publish anything, and whoever waits for it learns that.
    assert!(stage.snapshots.has_changed().is_err());
}

#[test]
fn an_engine_that_dies_of_a_bug_is_told_of() {
    let mut stage = Stage::new();
    stage.probed("/a", 1);
    let before = stage.sample().0;
    stage.snapshots.borrow_and_update();
    stage.world().panics = true;
    let mut engine = stage.engine.take().expect("it is here");
    engine.schedule.next_sample = Instant::now();
    let dies = move || engine.turn().is_some();
    assert!(thread::spawn(dies).join().is_err());
    assert_eq!(stage.liveness.ended(), Some("engine"));
    // What was published last is told by its time to be old.
    let last = stage.snapshots.borrow().clone().expect("a snapshot");
    assert!(Arc::ptr_eq(&last, &before));
    assert!(stage.snapshots.has_changed().is_err());
}

#[test]
fn a_reader_that_dies_costs_the_process_it_read_its_state_and_no_other() {
    // A read that is given up is noted by process id, for all tests.
    const DEADLY: u32 = (1 << 23) + 77;
    let mut stage = Stage::new();
    let program = stage.program_with_state("/a");
    for pid in [DEADLY, 7] {
        stage.world().start(pid, &program);
    }
    stage.hear();
    for pid in [DEADLY, 7] {
        stage.world().creates(pid, 3);
    }
    stage.sample();
    stage.world().kills_its_reader(DEADLY, true);
    let mut engine = stage.engine.take().expect("it is here");
    let watchdog = Arc::clone(&engine.watchdog);
    let dies = move || {
        engine.schedule.next_sample = Instant::now();
        engine.turn().is_some()
    };
    assert!(thread::spawn(dies).join().is_err());
    let number = watchdog.going_on().expect("a read that does not come back");
    stage.engine = Some(watchdog.take_over(number).expect("nobody reads"));

    stage.world().creates(7, 2);
    stage.world().creates(DEADLY, 1);
    let shown = stage.sample();
    let deadly = shown.running(DEADLY);
    let missing = deadly.coverage.0[&FigureGroup::State].as_ref();
    assert_eq!(missing.map(|it| it.reason), Some(Reason::ReadBlocked));
    assert!(deadly.state().is_none());
    // That round may have begun with the other.
    stage.world().kills_its_reader(DEADLY, false);
    let shown = stage.sample();
    // The probes go on counting.
    let deadly = shown.running(DEADLY);
    assert_eq!(deadly.figures.events.goroutines.created, 4);
    let other = shown.running(7);
    assert_eq!(other.state().and_then(|it| it.goroutines.created), Some(5));
    assert_eq!(other.figures.events.goroutines.created, 5);
    let well = stage.liveness.report();
    assert!(well.is_ok(), "another goes on with the engine: {well:?}");
}
