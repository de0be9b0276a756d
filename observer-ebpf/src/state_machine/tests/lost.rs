//! Hits that are lost one by one, beginnings and ends alike, and memory that cannot
//! be read: nothing is made up, and nothing is counted twice.

use super::{
    go::{Go, RELEASES},
    model::World,
    turns::for_each_seed,
};
use crate::{Abi, Cookie, SiteKind, StwReason, ground::Registers, state_machine};

#[test]
fn lost_hits_make_figures_smaller_only() {
    for abi in RELEASES {
        for_each_seed(30, |seed| {
            let world = World::new(seed, 3);
            let program = Go::new(&world, abi, 100);
            program.probes().loses = 3 + seed as usize % 20;
            world.turns.run(|thread| {
                for _ in 0..20 {
                    program.act(0xc000_0000 + 0x200 * thread as u64);
                }
            });
            program.check_no_more();
        });
    }
}

/// A stop whose beginning or end cannot be read is left out, and its cycle is none
/// that was seen whole.
#[test]
fn what_cannot_be_read_is_left_out() {
    for abi in RELEASES {
        for_each_seed(30, |seed| {
            let world = World::new(seed, 3);
            let program = Go::new(&world, abi, 100);
            world.state().unreadable = 2 + seed as usize % 10;
            world.turns.run(|thread| {
                for _ in 0..20 {
                    program.act(0xc000_0000 + 0x200 * thread as u64);
                }
            });
            program.check_no_more();
        });
    }
}

/// The end of one cycle and the beginning of the next are lost: the next cycle's
/// first stop is not recorded as one of the cycle before.
#[test]
fn a_cycle_has_not_the_trigger_of_the_one_before() {
    let world = World::new(1, 1);
    let hit = |kind, rax, rcx| {
        let registers = Registers {
            rax,
            rbx: StwReason::GcSweepTermination as u64,
            rcx,
            rdi: rcx,
            r14: 0xc000,
            ..Registers::default()
        };
        let aux = match kind {
            SiteKind::StartTheWorld => Abi::WorldStopFinished as i32,
            _ => 0,
        };
        let cookie = Cookie::new(kind, 1, aux);
        state_machine::hit(world.kernel(100, 0), 100, kind, cookie, || registers);
    };
    hit(SiteKind::GcStart, 1, 0);
    hit(SiteKind::GcCycle, 0, 0);
    for began in [1000, 5000] {
        hit(SiteKind::StartTheWorld, 0, began);
        hit(SiteKind::StartTheWorldReturn, began + 100, 0);
    }
    let state = world.state();
    // SAFETY: a value of the map.
    let gc = unsafe { **state.gc.entries.values().next().expect("one") };
    assert_eq!(gc.started, [0, 1, 0, 1]);
    assert_eq!([0, 1].map(|stop| gc.recent_stops[stop].trigger), [1, 3]);
}
