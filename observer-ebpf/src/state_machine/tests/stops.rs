//! Stops and collections of several programs at once: with every hit seen, each is
//! counted once, in its own program, as it was.

use std::sync::Mutex;

use super::{
    go::{Go, RELEASES},
    model::World,
    turns::for_each_seed,
};
use crate::{Abi, GcFigures, STOPS_KEPT};

/// Two programs, three threads each.
const THREADS: usize = 6;

#[test]
fn all_is_counted_once_and_as_it_was() {
    for abi in RELEASES {
        for_each_seed(20, |seed| {
            let world = World::new(seed, THREADS);
            let other = RELEASES[seed as usize % RELEASES.len()];
            let programs = [Go::new(&world, abi, 100), Go::new(&world, other, 200)];
            world.turns.run(|thread| {
                for _ in 0..15 {
                    programs[thread % 2].act(0xc000_0000 + 0x200 * thread as u64);
                }
            });
            programs.iter().for_each(Go::check_all);
        });
    }
}

/// One thread alone: also up to 1.20 every reason is known.
#[test]
fn reasons_of_stops_that_do_not_meet_are_all_known() {
    let world = World::new(1, 1);
    let program = Go::new(&world, Abi::NoReason, 100);
    let mut reasons = [false; 15];
    for _ in 0..200 {
        program.stop();
        let truth = program.truth();
        let stop = truth.stops.last().expect("this one");
        let kept = program.figures().recent_stops[(truth.stops.len() - 1) % STOPS_KEPT];
        assert_eq!(kept, *stop);
        reasons[stop.reason as usize] = true;
    }
    assert_eq!(reasons.iter().filter(|seen| **seen).count(), 10);
    program.check_all();
}

/// User space copies the figures at any moment. Each stop that a copy counts is
/// whole in it.
#[test]
fn a_copy_at_any_moment_has_whole_stops() {
    for_each_seed(30, |seed| {
        let world = World::new(seed, 3);
        let program = Go::new(&world, RELEASES[seed as usize % RELEASES.len()], 100);
        let copies = Mutex::new(Vec::<GcFigures>::new());
        world.turns.run(|thread| {
            for _ in 0..20 {
                if thread > 0 {
                    program.act(0xc000_0000 + 0x200 * thread as u64);
                    continue;
                }
                for _ in 0..world.random(|random| random.below(40)) {
                    world.turns.step();
                }
                copies.lock().expect("no panic").push(program.figures());
            }
        });
        let truth = program.truth();
        for copy in &*copies.lock().expect("no panic") {
            let counted = copy.stops_recorded as usize;
            for number in counted.saturating_sub(STOPS_KEPT)..counted {
                assert_eq!(copy.recent_stops[number % STOPS_KEPT], truth.stops[number]);
            }
        }
    });
}
