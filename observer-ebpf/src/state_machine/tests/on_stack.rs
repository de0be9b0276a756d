//! Go 1.17 on arm64, which passes arguments and results on the stack.

use super::model::World;
use crate::{Cookie, GcFigures, SiteKind, StwReason, ground::Registers, state_machine};

const TGID: u32 = 100;
const SP: u64 = 0xc000_8000;

/// A hit at a site that finds these words so far above the stack pointer, and no others.
fn hit(world: &World, kind: SiteKind, on_stack: i32, words: &[u64]) {
    {
        let mut state = world.state();
        state.memory.clear();
        for (at, word) in (SP + on_stack as u64..).step_by(8).zip(words) {
            state.memory.insert((TGID, at), *word);
        }
    }
    // What registers hold is nobody's argument.
    let registers = Registers {
        rax: 2,
        rbx: 2,
        r14: 0xc000,
        sp: SP,
        ..Registers::default()
    };
    let cookie = Cookie::new(kind, 1, on_stack);
    state_machine::hit(world.kernel(TGID, 0), TGID, kind, cookie, || registers);
}

fn figures(world: &World) -> GcFigures {
    let state = world.state();
    // SAFETY: a value of the map.
    unsafe { **state.gc.entries.values().next().expect("one") }
}

#[test]
fn a_trigger_is_read_from_the_stack_or_not_seen() {
    let world = World::new(1, 1);
    hit(&world, SiteKind::GcStart, 8, &[1]);
    hit(&world, SiteKind::GcCycle, 0, &[]);
    assert_eq!(figures(&world).started, [0, 1, 0, 0]);
    hit(&world, SiteKind::GcStart, 8, &[]);
    hit(&world, SiteKind::GcCycle, 0, &[]);
    assert_eq!(figures(&world).started, [0, 1, 0, 1]);
}

#[test]
fn a_stop_has_the_reason_and_the_end_that_are_on_the_stack() {
    const TEXT: u64 = 0x5000;
    let world = World::new(1, 1);
    world.state().texts.insert(TEXT, *b"GOMAXPR");
    let stop = |said: &[u64], ends: bool| {
        hit(&world, SiteKind::StopReason, 24, said);
        hit(&world, SiteKind::StopTheWorld, 0, &[]);
        hit(&world, SiteKind::StartAfterOther, 0, &[]);
        let end = figures(&world).stop_began + 500;
        let end = [end];
        let found = if ends { &end[..] } else { &[] };
        hit(&world, SiteKind::StartTheWorldReturn, 16, found);
        let gc = figures(&world);
        assert_eq!((gc.start_kind, gc.stop_began), (0, 0));
        [StwReason::Gomaxprocs, StwReason::Unknown].map(|reason| {
            let stops = gc.stops[reason as usize];
            (stops.count, stops.total_ns)
        })
    };
    let len = 10;
    assert_eq!(stop(&[TEXT, len], true), [(1, 500), (0, 0)]);
    assert_eq!(stop(&[TEXT, len], false), [(1, 500), (0, 0)]);
    // The length cannot be read.
    assert_eq!(stop(&[TEXT], true), [(1, 500), (1, 500)]);
}

#[test]
fn only_what_is_on_the_stack_takes_memory() {
    for kind in [SiteKind::GcStart, SiteKind::StartTheWorldReturn] {
        assert!(!kind.reads_memory(0) && kind.reads_memory(8), "{kind:?}");
    }
    assert!(SiteKind::StopReason.reads_memory(0));
    assert!(!SiteKind::StopTheWorld.reads_memory(3));
}
