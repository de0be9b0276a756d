//! More goroutines that call `gcStart` than there are places.

use super::{model::World, random::Random, turns::for_each_seed};
use crate::{Cookie, GcFigures, PENDING_TRIGGERS, SiteKind, ground::Registers, state_machine};

const THREADS: usize = 4;

/// The crowd's trigger is none of those that begin cycles, so that a cycle can be
/// seen to have another's. Calls and beginnings come in any order.
#[test]
fn a_cycle_has_its_own_trigger_or_none() {
    for_each_seed(40, |seed| {
        let world = World::new(seed, THREADS);
        let hit = |thread: usize, kind, r14, rax| {
            let registers = Registers {
                rax,
                r14,
                ..Registers::default()
            };
            let tgid = 100;
            let cookie = Cookie::new(kind, 1, 0);
            state_machine::hit(world.kernel(tgid, thread), tgid, kind, cookie, || registers);
        };
        let started = || {
            let state = world.state();
            let gc = state.gc.entries.values().next();
            // SAFETY: a value of the map, and nobody runs but this thread.
            gc.map_or(GcFigures::ZERO, |gc| unsafe { **gc }).started
        };
        let begins = std::sync::Mutex::new(false);
        world.turns.run(|thread| {
            for _ in 0..25 {
                // Others that turn back, and leave their places behind.
                let crowd = world.random(|random| random.below(PENDING_TRIGGERS / 2));
                for _ in 0..crowd {
                    let other = world.random(Random::word) & !7 | 1 << 63;
                    hit(thread, SiteKind::GcStart, other, 0);
                }
                let goroutine = 0xc000 + 0x200 * thread as u64;
                hit(thread, SiteKind::GcStart, goroutine, 1 + thread as u64 % 2);
                world
                    .turns
                    .until(|| !std::mem::replace(&mut *begins.lock().expect("no panic"), true));
                let before = started();
                hit(thread, SiteKind::GcCycle, goroutine, 0);
                let mut expected = before;
                expected[1 + thread % 2] += 1;
                if started() != expected {
                    expected = before;
                    expected[3] += 1;
                }
                assert_eq!(started(), expected, "another's trigger");
                *begins.lock().expect("no panic") = false;
            }
        });
    });
}

/// A goroutine whose call was not seen has not the trigger of its call before.
#[test]
fn a_trigger_is_told_once() {
    let world = World::new(1, 1);
    let kernel = world.kernel(100, 0);
    let registers = Registers {
        rax: 2,
        r14: 0xc000,
        ..Registers::default()
    };
    for kind in [SiteKind::GcStart, SiteKind::GcCycle, SiteKind::GcCycle] {
        let cookie = Cookie::new(kind, 1, 0);
        state_machine::hit(kernel, 100, kind, cookie, || registers);
    }
    let state = world.state();
    let gc = state.gc.entries.values().next().expect("one");
    // SAFETY: a value of the map.
    assert_eq!(unsafe { (**gc).started }, [0, 0, 1, 1]);
}

/// Two goroutines call at once, one amid the other's call, at each of its steps.
#[test]
fn two_that_call_at_once_keep_their_triggers() {
    for at in 1..60 {
        let world = World::preempted(at);
        let hit = |kind, thread: usize| {
            let registers = Registers {
                rax: 1 + thread as u64,
                r14: 0xc000 + 0x100 * thread as u64,
                ..Registers::default()
            };
            let cookie = Cookie::new(kind, 1, 0);
            state_machine::hit(world.kernel(100, 0), 100, kind, cookie, || registers);
        };
        world.turns.run(|thread| hit(SiteKind::GcStart, thread));
        hit(SiteKind::GcCycle, 0);
        hit(SiteKind::GcCycle, 1);
        let state = world.state();
        let gc = state.gc.entries.values().next().expect("one");
        // SAFETY: a value of the map, and nobody else runs any more.
        assert_eq!(unsafe { (**gc).started }, [0, 1, 1, 0], "at step {at}");
    }
}

/// All places are taken anew amid the beginning of a cycle, at each of its steps.
#[test]
fn places_that_are_taken_amid_a_beginning_stay_taken() {
    const OWN: u64 = 0xc000;
    let other = |number: usize| 0xd000 + 0x100 * number as u64;
    for at in 1..100 {
        let world = World::preempted(at);
        let hit = |kind, r14, rax| {
            let registers = Registers {
                rax,
                r14,
                ..Registers::default()
            };
            let cookie = Cookie::new(kind, 1, 0);
            state_machine::hit(world.kernel(100, 0), 100, kind, cookie, || registers);
        };
        for place in 0..PENDING_TRIGGERS {
            let is_own = place == 5;
            let goroutine = if is_own { OWN } else { other(place) };
            hit(SiteKind::GcStart, goroutine, u64::from(is_own));
        }
        let newcomers = PENDING_TRIGGERS..2 * PENDING_TRIGGERS;
        world.turns.run(|thread| {
            if thread == 0 {
                hit(SiteKind::GcCycle, OWN, 0);
            } else {
                newcomers
                    .clone()
                    .for_each(|it| hit(SiteKind::GcStart, other(it), 2));
            }
        });
        let state = world.state();
        let gc = state.gc.entries.values().next().expect("one");
        // SAFETY: a value of the map, and nobody else runs any more.
        let gc = unsafe { &**gc };
        assert!(
            matches!(gc.started, [0, 1, 0, 0] | [0, 0, 0, 1]),
            "at step {at}: {:?}",
            gc.started
        );
        // The first may have had the place that the cycle left, and lost it again.
        for newcomer in newcomers.skip(1) {
            let place = other(newcomer) | 2;
            assert!(gc.pending.contains(&place), "at step {at}");
        }
    }
}
