//! Process ids that are given to another process.

use super::super::fake::{Call, Stage, life};

/// All of it is told, and heard when it is over.
#[test]
fn each_process_keeps_its_hits() {
    let mut stage = Stage::new();
    let (first, second) = (stage.probed("/a", 1), stage.probed("/b", 2));
    stage.world().start(7, &first);
    stage.hear();
    {
        let mut world = stage.world();
        world.creates(7, 3);
        world.exit(7);
        world.start(7, &second);
        world.creates(7, 5);
    }
    stage.hear();
    let shown = stage.sample();
    assert_eq!(shown.lives(7), [life("/a", 3, true), life("/b", 5, false)]);
}

/// Of the same program too, which only its start tells from the one before.
#[test]
fn each_process_keeps_its_hits_though_nobody_told_of_either() {
    for same in [false, true] {
        let mut stage = Stage::new();
        let first = stage.probed("/a", 1);
        let second = if same {
            first.clone()
        } else {
            stage.probed("/b", 2)
        };
        stage.world().start(7, &first);
        stage.hear();
        {
            let mut world = stage.world();
            world.creates(7, 3);
            world.maps.get_mut().ring = 0;
            world.exit(7);
            world.start(7, &second);
            world.creates(7, 5);
        }
        stage.sweep();
        let shown = stage.sample();
        let now = if same { "/a" } else { "/b" };
        assert_eq!(shown.lives(7), [life("/a", 3, true), life(now, 5, false)]);
    }
}

#[test]
fn between_a_look_and_its_registration() {
    for call in [Call::Register, Call::Process] {
        let mut stage = Stage::new();
        let (first, second) = (stage.probed("/a", 1), stage.probed("/b", 2));
        let other = second.clone();
        stage.world().meanwhile(call, 7, move |world| {
            world.exit(7);
            world.start(7, &other);
            world.creates(7, 5);
        });
        stage.world().start(7, &first);
        stage.hear();
        stage.hear();
        let shown = stage.sample();
        assert_eq!(shown.running(7).process.executable.id, second.id);
        assert_eq!(shown.running(7).created(), Some(5), "{call:?}");
    }
}

/// A sweep has ended the earlier process and taken up the later one before it is told
/// that the earlier one ended.
#[test]
fn an_end_that_is_told_late_does_not_end_the_next_process() {
    let mut stage = Stage::new();
    let (first, second) = (stage.probed("/a", 1), stage.probed("/b", 2));
    stage.world().start(7, &first);
    stage.hear();
    {
        let mut world = stage.world();
        world.creates(7, 3);
        world.exit(7);
        world.start(7, &second);
        world.creates(7, 5);
        // So that the sweep holds everything against /proc.
        world.maps.get_mut().health.lost_events += 1;
    }
    // The sweep comes before the events within a turn.
    stage.sweep();
    let shown = stage.sample();
    assert_eq!(shown.lives(7), [life("/a", 3, true), life("/b", 5, false)]);
    stage.world().creates(7, 1);
    assert_eq!(stage.sample().running(7).created(), Some(6));
}

/// It was gone before anybody could look at it, and its hits are in the event of its end.
#[test]
fn one_that_came_and_went_leaves_its_hits_to_its_own_program() {
    let mut stage = Stage::new();
    let (first, second) = (stage.probed("/a", 1), stage.probed("/b", 2));
    {
        let mut world = stage.world();
        world.start(7, &first);
        world.creates(7, 3);
        world.exit(7);
        world.start(7, &second);
        world.creates(7, 4);
        world.exit(7);
    }
    stage.hear();
    let shown = stage.sample();
    assert_eq!(shown.lives(7), [life("/a", 3, true), life("/b", 4, true)]);
}
