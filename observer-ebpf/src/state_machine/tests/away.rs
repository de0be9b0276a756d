//! Probes that leave for a while and come back: what they did not see is not
//! counted, and what they count is as it was.

use super::{
    go::{Go, RELEASES},
    model::World,
    turns::for_each_seed,
};

impl Go<'_> {
    fn probes_leave_or_return(&self) {
        let mut probes = *self.probes();
        if probes.inside > 0 {
            return;
        }
        if probes.stand {
            probes.left += 1;
        } else {
            let state = self.world.state();
            for figures in state.gc.entries.values() {
                // SAFETY: a value of the map, and nobody runs but this thread.
                unsafe { (**figures).forget_unfinished() };
            }
        }
        probes.stand = !probes.stand;
        *self.probes() = probes;
    }
}

#[test]
fn what_is_counted_around_an_absence_is_true() {
    for abi in RELEASES {
        for_each_seed(30, |seed| {
            let world = World::new(seed, 4);
            let program = Go::new(&world, abi, 100);
            world.turns.run(|thread| {
                for _ in 0..20 {
                    if thread == 0 {
                        for _ in 0..world.random(|random| random.below(60)) {
                            world.turns.step();
                        }
                        program.probes_leave_or_return();
                    } else {
                        program.act(0xc000_0000 + 0x200 * thread as u64);
                    }
                }
            });
            program.check_no_more();
        });
    }
}
