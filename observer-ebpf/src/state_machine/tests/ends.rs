//! How the lives of single processes begin and end.

use super::{model::World, turns::for_each_seed};
use crate::{
    Cookie, EventKind, ProcessKey, Registration, SiteKind,
    ground::Registers,
    state_machine::{self, Fields, lives::new_epoch},
};

/// A process that has no room is counted as refused, and not for another.
#[test]
fn no_room_for_a_process_counts_for_nobody() {
    let world = World::new(1, 1);
    world.state().processes.room = 1;
    let cookie = Cookie::new(SiteKind::GoroutineCreated, 1, 0);
    let hit = |tgid| {
        let kernel = world.kernel(tgid, 0);
        let kind = SiteKind::GoroutineCreated;
        state_machine::hit(kernel, tgid, kind, cookie, Registers::default);
    };
    hit(100);
    hit(101);
    hit(101);
    state_machine::exit(world.kernel(100, 0), 100, || true);
    hit(101);
    let state = world.state();
    assert_eq!(state.refused, [101, 101]);
    let counted = state.goroutines.entries.iter().map(|((key, _), it)| {
        // SAFETY: a value of the map.
        (key.tgid, unsafe { (**it).created })
    });
    assert_eq!(counted.collect::<Vec<_>>(), [(100, 1), (101, 1)]);
}

/// Two threads may both see that no other is left.
#[test]
fn two_threads_that_end_last_tell_once() {
    for_each_seed(50, |seed| {
        let world = World::new(seed, 2);
        let new = Registration {
            epoch: 9,
            target: 1,
            repaid_at_ns: 0,
            stops_repaid_at_ns: 0,
            spans_repaid_at_ns: 0,
        };
        world.state().processes.insert(100, new);
        world
            .turns
            .run(|cpu| state_machine::exit(world.kernel(100, cpu), 100, || true));
        let state = world.state();
        let process = ProcessKey {
            tgid: 100,
            epoch: 9,
        };
        let exit = Fields::new(EventKind::Exit, process, 1);
        assert_eq!(state.events, [exit]);
        assert_eq!(state.process_events, 1);
    });
}

/// The number of a life is never 0, which stands for none.
#[test]
fn an_epoch_is_never_zero() {
    assert_eq!([0, 1 << 42, (1 << 42) + 1023].map(new_epoch), [1; 3]);
    assert_eq!([5 << 10, (1 << 42) + 1024].map(new_epoch), [5, 1]);
}

/// User space has registered a process of a file with two targets, and left open
/// which of them counts. Its first hits come at once.
#[test]
fn of_two_targets_at_once_one_becomes_the_owner() {
    let kind = SiteKind::GoroutineCreated;
    for_each_seed(60, |seed| {
        let world = World::new(seed, 4);
        let open = Registration {
            epoch: 9,
            target: 0,
            repaid_at_ns: 0,
            stops_repaid_at_ns: 0,
            spans_repaid_at_ns: 0,
        };
        world.state().processes.insert(100, open);
        world.turns.run(|thread| {
            let target = 1 + thread as u32 % 2;
            let kernel = world.kernel(100, 0);
            for _ in 0..5 {
                let cookie = Cookie::new(kind, target, 0);
                state_machine::hit(kernel, 100, kind, cookie, Registers::default);
            }
        });
        let state = world.state();
        let [first] = state.events[..] else {
            panic!("first hits: {:?}", state.events);
        };
        let loser = 3 - first.target;
        assert_eq!(state.aliases, [(loser, first.target); 10]);
        let figures = state.goroutines.entries.values().next().expect("one");
        // SAFETY: a value of the map, and nobody else runs any more.
        assert_eq!(unsafe { (**figures).created }, 10);
    });
}
