//! What is charged, and when user space is told.

use super::{model::World, random::Random, turns::for_each_seed};
use crate::{
    Cookie, EventKind, Registration, SiteKind, Target,
    ground::Registers,
    state_machine::{
        self,
        account::{SLICE_NS, STOPS, YOUNG, entered},
    },
};

const TARGET: u32 = 5;
const TGID: u32 = 100;
const PRICE: i32 = 1500;

/// A process of an age, whose hits on one CPU interrupt each other.
fn world(seed: u64, threads: usize, age_us: u32) -> World {
    let world = World::new(seed, threads);
    {
        let mut state = world.state();
        let epoch = (state.clock >> 10) as u32 - age_us;
        let registration = Registration {
            epoch,
            target: TARGET,
            repaid_at_ns: 0,
            stops_repaid_at_ns: 0,
            spans_repaid_at_ns: 0,
        };
        state.processes.insert(TGID, registration);
        let target = Target {
            stop_price_ns: 10_000,
            ..Target::default()
        };
        state.targets.insert(TARGET, target);
        (state.repayment, state.burst_ns) = (100, 20_000_000);
    }
    world
}

/// Accounts of the process and of its target: on goroutines, then on stops.
fn accounts(world: &World) -> [u64; 4] {
    let state = world.state();
    // SAFETY: values of the maps, and nobody runs but this thread.
    unsafe {
        let process = *state.processes.entries[&TGID];
        let target = *state.targets.entries[&TARGET];
        [
            process.repaid_at_ns,
            target.repaid_at_ns,
            process.stops_repaid_at_ns,
            target.stops_repaid_at_ns,
        ]
    }
}

fn hits(world: &World, kind: SiteKind, many: u64) {
    let cookie = Cookie::new(kind, TARGET, PRICE);
    let kernel = world.kernel(TGID, 0);
    for _ in 0..many {
        state_machine::hit(kernel, TGID, kind, cookie, Registers::default);
    }
}

/// What hits cost is in the account or still unpaid, and never in both, however
/// they interrupt each other.
#[test]
fn no_hit_is_charged_twice() {
    const THREADS: u64 = 3;
    const HITS: u64 = 150;
    for_each_seed(20, |seed| {
        let world = world(seed, THREADS as usize, 2 * YOUNG);
        let began = world.state().clock;
        world
            .turns
            .run(|_| hits(&world, SiteKind::GoroutineCreated, HITS));
        let state = world.state();
        let figures = state.goroutines.entries.values().next().expect("one");
        // SAFETY: a value of the map, and nobody runs but this thread.
        let (created, unpaid) = unsafe { ((**figures).created, (**figures).unpaid_ns) };
        assert_eq!(created, THREADS * HITS);
        let (repayment, now) = (state.repayment, state.clock);
        drop(state);
        let spent = THREADS * HITS * PRICE as u64 - unpaid;
        // Each entry is a slice at least, and at most that and a hit of each thread.
        assert!(
            unpaid < SLICE_NS + THREADS * PRICE as u64,
            "{unpaid} not entered"
        );
        let [account, of_file, ..] = accounts(&world);
        assert!(account > began + SLICE_NS * repayment, "nothing entered");
        assert!(account <= now + spent * repayment, "entered twice");
        assert_eq!(of_file, 0);
    });
}

/// One account each for the young and the old, goroutines and stops.
#[test]
fn each_hit_is_charged_to_its_own_account() {
    let slice = SLICE_NS / PRICE as u64 + 1;
    let cases = [
        (2 * YOUNG, SiteKind::GoroutineExited, slice, 0),
        (YOUNG / 2, SiteKind::GoidRefill, slice, 1),
        (2 * YOUNG, SiteKind::GcStart, STOPS, 2),
        (YOUNG / 2, SiteKind::GcStart, STOPS, 3),
    ];
    for (age, kind, many, account) in cases {
        let world = world(1, 1, age);
        hits(&world, kind, many - 1);
        assert_eq!(accounts(&world), [0; 4], "{kind:?} too soon");
        hits(&world, kind, 1);
        let charged = accounts(&world).map(|it| it > 0);
        let mut expected = [false; 4];
        expected[account] = true;
        assert_eq!(charged, expected, "{kind:?} at {age}");
    }
}

/// A storm is told of, by the name of what costs, and calm is not.
#[test]
fn too_much_is_told_of() {
    let cases = [
        (SiteKind::GoroutineCreated, EventKind::TooMuchAtOnce),
        (SiteKind::GcCycle, EventKind::TooManyStops),
    ];
    for (kind, told) in cases {
        let world = world(1, 1, 2 * YOUNG);
        // Two thirds of what may be spent at once, and time to pay it back.
        let price = if kind == SiteKind::GcCycle {
            10_000
        } else {
            PRICE as u64
        };
        let burst = 20_000_000 / price;
        for _ in 0..3 {
            hits(&world, kind, burst * 2 / 3);
            world.state().clock += 20_000_000 * 100;
        }
        assert_eq!(world.state().events, []);
        hits(&world, kind, burst * 4 / 3);
        let state = world.state();
        assert!(
            state
                .events
                .iter()
                .all(|it| it.kind == told && it.target == TARGET)
        );
        assert_eq!(state.events.len(), 1);
    }
}

/// The account against a bucket that is filled and leaks.
#[test]
fn an_account_is_a_leaking_bucket() {
    for_each_seed(200, |seed| {
        let mut random = Random::new(seed);
        // Round numbers meet the burst exactly, now and then.
        let burst = 1000 * (1 + random.word() % 1000);
        let (mut now, mut account, mut level) = (1 << 40, 0, 0u64);
        for _ in 0..200 {
            let passes = 1000 * (random.word() % 200);
            now += passes;
            level = level.saturating_sub(passes);
            let spends = 1000 * (random.word() % 300);
            level += spends;
            let (then, is_too_much) = entered(account, now, spends, burst);
            assert_eq!(is_too_much, level > burst);
            if is_too_much {
                level = 0;
            }
            account = then;
            assert_eq!(account - now, level);
        }
    });
}
