//! Events that found no room in the ring buffer, and the sweep that makes up for them.

use super::super::fake::{Stage, State, life};

/// From here on the ring buffer has no room.
fn full(state: &mut State) {
    state.maps.get_mut().ring = 0;
}

#[test]
fn an_exec_that_was_lost_is_found_and_each_program_keeps_its_hits() {
    let mut stage = Stage::new();
    let (first, second) = (stage.probed("/a", 1), stage.probed("/b", 2));
    stage.world().start(7, &first);
    stage.hear();
    {
        let mut world = stage.world();
        world.creates(7, 3);
        full(&mut world);
        world.exec(7, &second);
        world.creates(7, 5);
    }
    // Nobody has told of it yet. What the second program did is not the first one's.
    stage.hear();
    assert_eq!(stage.sample().lives(7), [life("/a", 3, false)]);
    assert!(stage.sample().0.health.kernel.lost_events > 0);
    stage.sweep();
    let shown = stage.sample();
    assert_eq!(shown.lives(7), [life("/a", 3, true), life("/b", 5, false)]);
    stage.world().creates(7, 1);
    assert_eq!(stage.sample().running(7).created(), Some(6));
}

/// Nothing but its number in the kernel's map tells the one life from the other.
#[test]
fn a_program_that_ran_itself_anew_unheard_begins_anew() {
    let mut stage = Stage::new();
    let program = stage.probed("/a", 1);
    stage.world().start(7, &program);
    stage.hear();
    {
        let mut world = stage.world();
        world.creates(7, 3);
        full(&mut world);
        world.exec(7, &program);
        world.creates(7, 4);
    }
    stage.sweep();
    let shown = stage.sample();
    assert_eq!(shown.lives(7), [life("/a", 3, true), life("/a", 4, false)]);
}

#[test]
fn an_end_that_was_lost_is_found_and_leaves_nothing_in_the_maps() {
    let mut stage = Stage::new();
    let program = stage.probed("/a", 1);
    stage.world().start(7, &program);
    stage.hear();
    {
        let mut world = stage.world();
        world.creates(7, 3);
        full(&mut world);
        world.exit(7);
    }
    stage.hear();
    assert_eq!(stage.sample().lives(7), [life("/a", 3, false)]);
    stage.sweep();
    let shown = stage.sample();
    assert_eq!(shown.lives(7), [life("/a", 3, true)]);
    let entries = &shown.0.health.map_entries;
    assert_eq!((entries["PROCESSES"], entries["GOROUTINES"]), (1, 0));
}

#[test]
fn a_beginning_that_was_lost_is_found_with_all_that_was_counted_since() {
    let mut stage = Stage::new();
    let program = stage.probed("/a", 1);
    {
        let mut world = stage.world();
        full(&mut world);
        world.start(7, &program);
        world.creates(7, 3);
        world.fork(7, 8);
        world.creates(8, 2);
    }
    stage.sweep();
    let shown = stage.sample();
    assert_eq!(shown.lives(7), [life("/a", 3, false)]);
    assert_eq!(shown.lives(8), [life("/a", 2, false)]);
    // It is not known when it began, and so not how many live.
    assert_eq!(shown.running(7).live(), None);
}

/// Whose hits they were nobody can tell: they are nobody's.
#[test]
fn what_came_and_went_unheard_is_cleared_away_and_is_nobody_elses() {
    let mut stage = Stage::new();
    let program = stage.probed("/a", 1);
    {
        let mut world = stage.world();
        full(&mut world);
        world.start(7, &program);
        world.creates(7, 3);
        world.exit(7);
    }
    stage.sweep();
    assert_eq!(stage.sample().0.health.map_entries["GOROUTINES"], 1);
    stage.world().start(7, &program);
    stage.sweep();
    let shown = stage.sample();
    assert_eq!(shown.lives(7), [life("/a", 0, false)]);
    assert_eq!(shown.0.health.map_entries["GOROUTINES"], 0);
    assert_eq!(shown.running(1).created(), Some(0));
}

/// The buffer has room again, and who comes later is told of.
#[test]
fn once_there_is_room_events_do_again() {
    let mut stage = Stage::new();
    let (first, second) = (stage.probed("/a", 1), stage.probed("/b", 2));
    full(&mut stage.world());
    stage.world().start(7, &first);
    stage.hear();
    assert!(stage.sample().lives(7).is_empty());
    {
        let mut world = stage.world();
        world.maps.get_mut().ring = usize::MAX;
        world.exec(7, &second);
        world.creates(7, 2);
    }
    stage.hear();
    assert_eq!(stage.sample().lives(7), [life("/b", 2, false)]);
}
